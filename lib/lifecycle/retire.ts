import type { Found } from '../store/contract'
import { leadsOn } from '../store/found'
import type { Loaded } from './loader'
import type { Settings } from '../options/options'
import type { RegenerateOptions } from '../session/session-host'
import { storedIdOf, type Tracked } from './tracked'

/** What has to be known of a session's place in its request to end it. */
export interface RetiringSlot {
  readonly settings: Settings
  readonly loaded: Loaded | undefined
  /** The session stands in for the one that the store could not read. */
  readonly unsaved: boolean
}

/** What to remove where a session ends: nothing if this request began it, and never saved it, for no store knows it. */
export function idToRemove({ settings, loaded, unsaved }: RetiringSlot, tracked: Tracked): string | undefined {
  if (unsaved) return loaded?.id
  return tracked.offered || loaded?.id === tracked.id || settings.classic ? storedIdOf(settings, tracked) : undefined
}

/**
 * Ends an old ID.
 *
 * @returns what was stored last, where something is to be kept and the store tells; `false` when it was gone already:
 * somebody logged out meanwhile, and nothing of it may live on.
 */
export async function retire(
  slot: RetiringSlot,
  old: Tracked | undefined,
  keep: RegenerateOptions['keep']
): Promise<boolean | Found> {
  const { settings } = slot
  const { backend } = settings
  if (old === undefined) return true
  if (old.kept === null) {
    const id = idToRemove(slot, old)
    if (id !== undefined) await backend.remove(id)
    return true
  }
  const id = storedIdOf(settings, old)
  const found = keep === undefined ? undefined : await backend.read(id)
  // Of a session in a cookie only what was written here lately is known.
  if (found === null && backend.carrier === undefined) return false
  const existed = await backend.remove(id, old.meta?.i)
  return existed && found && !leadsOn(found) ? found : existed
}
