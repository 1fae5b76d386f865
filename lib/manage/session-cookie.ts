import { OptionError } from '../base/errors'
import { createStored } from './create'
import { tokenOf } from '../reply/set-cookie'
import { engineOf } from './sessions'

/**
 * Stores a session and gives the `Cookie` header value that carries it, for tests: a logged-in request in one line.
 * Where `transport` is a header alone it is the value of that.
 *
 * @example await request(app).get('/profile').set('Cookie', await sessionCookie(auth, { userId: '1' }))
 */
export async function sessionCookie(auth: object, data: Record<string, unknown> = {}): Promise<string> {
  const engine = engineOf(auth)
  if (engine === undefined) throw new OptionError('sessionCookie() needs the middleware that sessions() returned')
  const { handle } = await createStored(engine, engine.settings, data)
  const { name, acceptsCookie } = engine.settings
  return acceptsCookie ? `${name}=${encodeURIComponent(tokenOf(handle))}` : tokenOf(handle)
}
