import './quiet'

/**
 * silverback under the name express-session, for every package that a test loads afterwards: what
 * `npm install express-session@npm:silverback` does for an application.
 */
jest.mock('express-session', () => require('../../lib/index'))

/** As the application would require it. */
export const session = require('express-session') as typeof import('../../lib/index')

export const SECRET = 'a secret for packages, long enough for all of them'
