import { SessionError } from '../base/errors'
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

// One path for the whole search: a copy at each level would make deeply nested data a long wait.
function findFault(value: unknown, path: string[], above: Set<unknown>): Fault | undefined {
  if (typeof value === 'bigint') return { path: path.join('.'), reason: 'a BigInt has no JSON; store a string' }
  if (typeof value !== 'object' || value === null) return undefined
  if (above.has(value)) return { path: path.join('.'), reason: 'it refers back to itself' }
  above.add(value)
  for (const key of Object.keys(value)) {
    if (path.length === 0 && key === 'cookie') continue
    path.push(key)
    let item: unknown
    try {
      item = (value as Record<string, unknown>)[key]
      if (typeof (item as { toJSON?: unknown } | null | undefined)?.toJSON === 'function') JSON.stringify(item)
    } catch {
      return { path: path.join('.'), reason: 'reading it throws an error' }
    }
    const fault = findFault(item, path, above)
    if (fault !== undefined) return fault
    path.pop()
  }
  above.delete(value)
  return undefined
}

/** For development: one warning for each key whose value JSON, or a store that keeps types, changes without a word. */
export function warnOfLosses(session: Session, keepsTypes: boolean): void {
  for (const key of Object.keys(session)) {
    if (key !== 'cookie') warnOfLoss((session as unknown as Record<string, unknown>)[key], key, keepsTypes, 0)
  }
}

function warnOfLoss(value: unknown, path: string, keepsTypes: boolean, depth: number): void {
  if (keepsTypes && (value instanceof Date || value instanceof Uint8Array)) return
  const loss = lossOf(value)
  if (loss !== undefined) {
    warnOnce(
      'SILVERBACK_LOSSY',
      `session.${path} is ${loss}: it does not survive being stored as JSON.`,
      `lossy ${path}`
    )
  } else if (typeof value === 'object' && value !== null && depth < 8) {
    for (const key of Object.keys(value))
      warnOfLoss((value as Record<string, unknown>)[key], `${path}.${key}`, keepsTypes, depth + 1)
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
