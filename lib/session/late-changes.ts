import { serializeSession } from './data'
import type { Session } from './session'

type Data = Record<string, unknown>

/** What an application has done to a session since its data was taken: what it set, and the keys that it deleted. */
export interface LateChanges {
  readonly set: Data
  readonly deleted: readonly string[]
}

/** JSON data of a session as it is now; `undefined` where it has none. */
export function dataNow(session: Session): Data | undefined {
  try {
    return JSON.parse(serializeSession(session)) as Data
  } catch {
    return undefined
  }
}

/** The changes of a session since `before`, with the values themselves. */
export function changesSince(before: Data | undefined, session: Session): LateChanges {
  const now = before && dataNow(session)
  if (before === undefined || now === undefined) return { set: {}, deleted: [] }
  const live = session as unknown as Data
  const set: Data = {}
  for (const key of Object.keys(now)) {
    if (!Object.hasOwn(before, key) || JSON.stringify(before[key]) !== JSON.stringify(now[key])) set[key] = live[key]
  }
  return { set, deleted: Object.keys(before).filter((key) => !Object.hasOwn(now, key)) }
}

/** Repeats changes on another session object, or on the same one. */
export function repeatChanges({ set, deleted }: LateChanges, on: Session): void {
  const target = on as unknown as Data
  for (const key of deleted) delete target[key]
  for (const key of Object.keys(set)) target[key] = set[key]
}
