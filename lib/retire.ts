import type { Loaded } from './loader'
import type { Settings } from './options'
import { encodeRecord } from './record'
import type { RegenerateOptions } from './session-host'
import type { Tracked } from './tracked'
import type { Milliseconds } from './time'

/** What has to be known of a session's place in its request to end it. */
export interface RetiringSlot {
  readonly settings: Settings
  readonly loaded: Loaded | undefined
  /** The session stands in for the one that the store could not read. */
  readonly unsaved: boolean
}

/** What to remove where a session ends: nothing if this request began it, and never saved it, for no store knows it. */
export function idToRemove({ settings, loaded, unsaved }: RetiringSlot, { id, offered }: Tracked): string | undefined {
  if (unsaved) return loaded?.id
  return offered || loaded?.id === id || settings.classic ? id : undefined
}

/**
 * Ends an old ID: removed, or for a grace period made to lead to the new one.
 *
 * @returns `false` when it was gone already: somebody logged out meanwhile, and nothing of it may live on.
 */
export async function retire(
  slot: RetiringSlot,
  old: Tracked | undefined,
  nextId: string,
  { keep, grace = 0 }: RegenerateOptions
): Promise<boolean> {
  const { backend } = slot.settings
  if (old === undefined) return true
  if (old.kept === null) {
    const id = idToRemove(slot, old)
    if (id !== undefined) await backend.remove(id)
    return true
  }
  if (grace > 0 && backend.carrier === undefined) return leadOn(slot, old, nextId, grace)
  if (keep !== undefined && !backend.native && (await backend.read(old.id)) === null) return false
  return backend.remove(old.id, old.meta?.i)
}

async function leadOn(
  { settings: { backend } }: RetiringSlot,
  old: Tracked,
  nextId: string,
  grace: Milliseconds
): Promise<boolean> {
  const now = Date.now()
  const meta = { u: now, c: old.createdAt, n: nextId, g: now + grace }
  const stub = encodeRecord(JSON.stringify(old.session.cookie), meta, '{}')
  const life = { usedAt: now, expiresAt: now + grace }
  const user = { from: old.meta?.i, to: undefined }
  let result = await backend.write(old.id, stub, old.kept, life, user)
  while (typeof result === 'object' && result !== null) {
    result = await backend.write(old.id, stub, result.text, life, user)
  }
  return result !== null
}
