import type { Engine } from '../engine/engine'
import type { Settings } from '../options/settings'
import { decodeFound, versionOf } from '../store/record-cache'
import { nextOf } from './next-id'
import type { StoreKey } from '../store/port'

/** Longest chain of rotations that the end of a session follows; also how often it yields to other writers. */
const STEPS_MAX = 64
/** A version that no record has: a removal that expects it answers what is kept. */
const NOTHING = '{}'

/** What is to be ended: an ID, and what is known of its record. */
export interface Ending {
  readonly id: string
  readonly storeId?: string | undefined
  /** The key of its record, where that is all that is known of its ID. */
  readonly key?: StoreKey | undefined
  /** `null`: no record of it is known of; `undefined`: nothing is known. */
  readonly version?: string | null | undefined
  readonly user?: string | undefined
}

/**
 * Removes a session's record; of one that was rotated meanwhile, all forwarding records and the one they lead to.
 * @returns whether there was one
 */
export async function endRecord({ port }: Settings, ending: Ending): Promise<boolean> {
  let id: string | undefined = ending.storeId ?? ending.id
  let key = ending.key ?? port.keyOf(id)
  if (key !== port.keyOf(id)) id = undefined
  let expected = ending.version === undefined ? NOTHING : (ending.version ?? undefined)
  let user = ending.user
  const left: StoreKey[] = []
  let answer: Awaited<ReturnType<typeof port.remove>>
  for (let step = 1; ; step++) {
    answer = await port.remove(key, user, step < STEPS_MAX ? expected : undefined, id)
    if (typeof answer !== 'object') break
    // It is not what was expected: changed, or rotated to another ID.
    const record = decodeFound(answer)
    user = record?.meta?.i
    expected = record && versionOf(answer, record)
    const next = record?.meta?.n
    if (next === undefined) continue
    left.push(key)
    ;({ id, key } = nextOf(port, id, next))
    expected = NOTHING
  }
  // Forwarding records go last: where a removal fails before, the end of the session can be tried again.
  for (const each of left) await port.remove(each)
  return answer
}

/** Tells of the end of a session those who wait for it, and, unless it was never stored, events and counters. */
export function noteEnd(engine: Engine, settings: Settings, id: string, reason?: string, isKnown = true): void {
  if (isKnown) engine.monitor.note('destroyed', settings.name, id, reason === undefined ? {} : { reason })
  engine.ended(id)
}

/** A user's sessions beyond `maxPerUser`, the least recently used first, are ended; the one just written stays. */
export async function evictSurplus(engine: Engine, settings: Settings, id: string, user: string): Promise<void> {
  const { port, maxPerUser } = settings
  const own = port.keyOf(id)
  const listed = ((await port.list(user)) ?? []).filter((item) => item.id !== own)
  const lastUse = (item: (typeof listed)[number]) => item.usedAt ?? decodeFound(item)?.meta?.u ?? 0
  listed.sort((a, b) => lastUse(a) - lastUse(b))
  const surplus = listed.slice(0, Math.max(0, listed.length + 1 - maxPerUser!))
  // Told first: whatever becomes of the removal, those who hold the session must stop.
  for (const item of surplus) noteEnd(engine, settings, item.id, 'maxPerUser')
  const removals = await Promise.allSettled(
    surplus.map((item) => endRecord(settings, { id: item.id, key: item.id, version: versionOf(item), user }))
  )
  const failure = removals.find((removal) => removal.status === 'rejected')
  if (failure !== undefined) throw failure.reason as Error
}
