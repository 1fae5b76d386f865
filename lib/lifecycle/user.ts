import type { Settings } from '../options/settings'
import { Session, stateOf } from '../session/session'
import type { Snapshot } from './snapshot'

/** Whose session it is where its data does not say: `auth.create` was told, or a release that knew. */
export function assignedUser(
  settings: Settings,
  session: Session,
  { meta, data }: Pick<Snapshot, 'meta' | 'data'>,
  told: string | undefined
): string | undefined {
  if (told !== undefined || meta?.i === undefined) return told
  if (settings.userId === undefined) return meta.i
  // If the data said so until now, the user has logged out.
  const { verbs, id } = stateOf(session)!
  const before = new Session({}, JSON.parse(data) as Record<string, unknown>, { verbs, id })
  return settings.userId(before) === undefined ? meta.i : undefined
}
