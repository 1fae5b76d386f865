import { OptionError } from '../base/errors'
import { EmptyRequest } from '../base/http'
import { chooseToken, presentedValues } from '../engine/identify'
import { isOver } from '../lifecycle/lifetime'
import { lastUseOf, recordOf } from '../lifecycle/load'
import type { SessionManager } from '../manage/manager'
import { engineOf } from '../manage/sessions'

/**
 * Reads the session that a cookie stands for, as a test wants to see it after a response: its data, or `null` when the
 * cookie is not authentic or the session is over. It extends nothing, and asks for no binding.
 * @param cookie a `Cookie` header, a `Set-Cookie` header or a list of these (`res.headers['set-cookie']`); where
 * `transport` is a header alone, the value of that
 * @example expect(await sessionOf(auth, res.headers['set-cookie'])).toEqual({ userId: '1' })
 */
export async function sessionOf<Data = Record<string, any>>(
  auth: Pick<SessionManager<Data>, 'get'>,
  cookie: string | readonly string[] | undefined
): Promise<Data | null> {
  const engine = engineOf(auth)
  if (engine === undefined) throw new OptionError('sessionOf() needs the middleware that sessions() returned')
  const { settings } = engine
  // Of a Set-Cookie the attributes go; of several with the name the last one is what a browser keeps.
  const given = typeof cookie === 'string' ? [cookie] : (cookie ?? [])
  const own = given.filter((text) => typeof cookie === 'string' || text.startsWith(`${settings.name}=`)).slice(-1)
  const carrier = settings.acceptsCookie ? 'cookie' : settings.header!
  const req = Object.assign(new EmptyRequest(), { headers: { [carrier]: own.join('') } })
  const { keys } = settings
  const token = keys && (await chooseToken(presentedValues(req, settings), settings, keys))
  if (typeof token !== 'object') return null
  const { id, found } = token
  if (found === undefined) return (await auth.get(id))?.data ?? null
  const record = recordOf(found)
  if (!record?.meta || isOver(settings, req, record, lastUseOf(settings, found, record))) return null
  return record.data as Data
}
