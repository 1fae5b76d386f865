import { NPM_STORES } from '../helpers/npm-stores'
import { describeLateWriters } from '../helpers/late'
import { alone } from '../helpers/race'

// Within one process, for these know no conditional writes: see docs/stores.md.
const STORES = ['connect-redis', 'connect-pg-simple', 'memorystore', 'session-file-store']

describe.each(STORES)('a session (%s)', (name) => {
  describeLateWriters(alone(NPM_STORES[name]!), { indexless: true })
})
