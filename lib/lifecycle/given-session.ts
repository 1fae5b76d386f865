import type { HttpRequest } from '../base/http'
import { META, type ParsedRecord, type Meta } from '../record/record'
import { cookieCopy } from '../session/cookie-state'
import { Session, stateOf } from '../session/session'
import { copyValues, put, withTypes } from '../session/values'

type Data = Record<string, unknown>

/** Data that is not the session's own as it stands: JSON of it, and the record that another writer left. */
export interface Merged {
  readonly text: string
  readonly theirs: ParsedRecord | undefined
}

/**
 * The session object that a store of the contract is given: a copy, for some keep the very object, with a live cookie,
 * for they ask it for `maxAge` and `expires`.
 *
 * Values keep their types (a Date, an ObjectId): those of the session, or of the record that another writer left.
 */
export function sessionToGive(
  req: HttpRequest,
  session: Session,
  meta: Meta | undefined,
  merged: Merged | undefined
): Session {
  const state = stateOf(session)!
  const copy = Object.create(Session.prototype) as Session
  const data =
    merged === undefined ? session : withTypes(JSON.parse(merged.text) as Data, [session, merged.theirs?.data])
  // Data of that name has its place.
  if (!isData('id', data)) Object.defineProperty(copy, 'id', { value: state.id })
  if (!isData('req', data)) Object.defineProperty(copy, 'req', { value: req })
  copy.cookie = cookieCopy(state)
  const target = copy as unknown as Data
  copyValues(data, target)
  if (meta !== undefined) put(target, META, meta)
  return copy
}

function isData(key: string, data: object): boolean {
  return Object.prototype.propertyIsEnumerable.call(data, key)
}
