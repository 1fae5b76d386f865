import type { HttpRequest } from '../base/http'
import { META, type ParsedRecord, type Meta } from '../record/record'
import { asCookie } from '../session/cookie-state'
import { Session, stateOf } from '../session/session'

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
  const { id } = stateOf(session)!
  const copy = Object.create(Session.prototype) as Session
  Object.defineProperty(copy, 'id', { value: id })
  Object.defineProperty(copy, 'req', { value: req })
  const cookie = asCookie(session.cookie)
  copy.cookie = Object.assign(Object.create(Object.getPrototypeOf(cookie) as object) as typeof cookie, cookie)
  const target = copy as unknown as Data
  const data = merged === undefined ? (session as unknown as Data) : restored(session as unknown as Data, merged)
  for (const key of Object.keys(data)) if (key !== 'cookie') put(target, key, copyOf(data[key]))
  if (meta !== undefined) put(target, META, meta)
  return copy
}

function restored(ours: Data, { text, theirs }: Merged): Data {
  const data = JSON.parse(text) as Data
  for (const key of Object.keys(data)) {
    const json = JSON.stringify(data[key])
    const source = [ours, theirs?.raw].find((one) => one && Object.hasOwn(one, key) && isText(one[key], json))
    if (source !== undefined) put(data, key, source[key])
  }
  return data
}

// An assignment would call the accessors that keep some names from being data.
function put(target: Data, key: string, value: unknown): void {
  if (!(key in target) || Object.hasOwn(target, key)) target[key] = value
  else Object.defineProperty(target, key, { configurable: true, enumerable: true, writable: true, value })
}

function isText(value: unknown, text: string): boolean {
  try {
    return JSON.stringify(value) === text
  } catch {
    return false
  }
}

// Plain objects and lists are copied; what has a class of its own is a value.
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const copy: Data = {}
  for (const key of Object.keys(value)) put(copy, key, copyOf((value as Data)[key]))
  return copy
}
