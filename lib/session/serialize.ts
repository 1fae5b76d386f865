import { SessionError } from '../base/errors'
import { REMEMBERED_MAX } from '../store/found'
import { copyExact, copyExactly, isSameJson } from '../record/json'
import type { Decoded, Exact } from '../record/record'
import { stringifyData, type Session } from './session'
import { warnOnce } from '../base/warnings'

/**
 * JSON of a session's data.
 * @throws {SessionError} `ERR_SESSION_UNSERIALIZABLE`, naming the key path, for a BigInt, a cycle, a throwing getter
 */
export function serializeSession(session: Session): string {
  if (typeof (session as { toJSON?: unknown }).toJSON === 'function') {
    throw unserializable('toJSON', 'a session must not have a toJSON function: it would hide what is stored')
  }
  try {
    return stringifyData(session)
  } catch (cause) {
    const found = faultOf(session)
    throw unserializable(found?.path ?? '', found?.reason ?? 'a value of it cannot be stored as JSON', cause)
  }
}

/**
 * The same with a copy of the data; `undefined` where the data is not all plain JSON, or cannot be serialized.
 * What is as it was in the record that the session was made of is taken from there.
 */
export function serializeExactly(session: Session, before: Decoded): Exact | undefined {
  const data = session as unknown as Record<string, unknown>
  try {
    // The parts of a record that nobody remembers would serve nobody.
    if (before.dataText.length <= REMEMBERED_MAX) return serializeParts(data, before)
    const raw = copyExactly(data, 'cookie')
    return raw === undefined ? undefined : { raw, text: JSON.stringify(raw), parts: undefined }
  } catch {
    return undefined
  }
}

function serializeParts(data: Record<string, unknown>, before: Decoded): Exact | undefined {
  const raw: Record<string, unknown> = {}
  const keys: string[] = []
  const texts: string[] = []
  let text = ''
  for (const key of Object.keys(data)) {
    if (key === 'cookie') continue
    if (key === '__proto__') return undefined
    const { length } = keys
    const known = before.parts?.keys[length] === key && isSameJson(data[key], before.raw[key])
    raw[key] = known ? before.raw[key] : copyExact(data[key])
    if (raw[key] === undefined) return undefined
    const part = known ? before.parts.texts[length]! : `${JSON.stringify(key)}:${JSON.stringify(raw[key])}`
    keys.push(key)
    texts.push(part)
    text += length === 0 ? part : `,${part}`
  }
  return { raw, text: `{${text}}`, parts: { keys, texts } }
}

function unserializable(path: string, reason: string, cause?: unknown): SessionError {
  const where = path === '' ? 'The session' : `session.${path}`
  return new SessionError('ERR_SESSION_UNSERIALIZABLE', `${where} cannot be stored: ${reason}.`, { cause })
}

interface Fault {
  path: string
  reason: string
}

function faultOf(session: Session): Fault | undefined {
  try {
    return findFault(session, [], new Set())
  } catch {
    return { path: '', reason: 'it is nested too deeply' }
  }
}

function findFault(value: unknown, path: string[], above: Set<unknown>): Fault | undefined {
  if (typeof value === 'bigint') return { path: path.join('.'), reason: 'a BigInt has no JSON; store a string' }
  if (typeof value !== 'object' || value === null) return undefined
  if (above.has(value)) return { path: path.join('.'), reason: 'it refers back to itself' }
  above.add(value)
  for (const key of Object.keys(value)) {
    const at = [...path, key]
    let item: unknown
    try {
      item = (value as Record<string, unknown>)[key]
      if (typeof (item as { toJSON?: unknown } | null | undefined)?.toJSON === 'function') JSON.stringify(item)
    } catch {
      return { path: at.join('.'), reason: 'reading it throws an error' }
    }
    const fault = path.length === 0 && key === 'cookie' ? undefined : findFault(item, at, above)
    if (fault !== undefined) return fault
  }
  above.delete(value)
  return undefined
}

/** For development: one warning for each key whose value JSON changes without a word. */
export function warnOfLosses(session: Session): void {
  for (const key of Object.keys(session)) {
    if (key !== 'cookie') warnOfLoss((session as unknown as Record<string, unknown>)[key], key, 0)
  }
}

function warnOfLoss(value: unknown, path: string, depth: number): void {
  const loss = lossOf(value)
  if (loss !== undefined) {
    warnOnce(
      'SILVERBACK_LOSSY',
      `session.${path} is ${loss}: it does not survive being stored as JSON.`,
      `lossy ${path}`
    )
  } else if (typeof value === 'object' && value !== null && depth < 8) {
    for (const key of Object.keys(value))
      warnOfLoss((value as Record<string, unknown>)[key], `${path}.${key}`, depth + 1)
  }
}

function lossOf(value: unknown): string | undefined {
  if (value === undefined) return 'undefined'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : undefined) : String(value)
  if (value instanceof Date) return 'a Date'
  if (value instanceof Map) return 'a Map'
  if (value instanceof Set) return 'a Set'
  return value instanceof Uint8Array ? 'binary data' : undefined
}
