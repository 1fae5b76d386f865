import fs from 'node:fs/promises'
import { codeOf, ifThere } from './errors'
import { HASH, hashOf, type Folder } from './folder'
import type { Records } from './records'

const ATTEMPTS_MAX = 10

/**
 * Which sessions a user has: a folder per user, in it an empty file per session, both named by hashes.
 *
 * It may name too many sessions, never too few: an entry is made before its record and once more after it, and whoever
 * drops one looks at the record afterwards. What the record says is what counts.
 */
export type Users = ReturnType<typeof usersIn>

export function usersIn(folder: Folder, records: Records) {
  const enter = async (user: string, session: string): Promise<void> => {
    const names = ['users', hashOf(user), session]
    for (let attempt = 1; ; attempt++) {
      try {
        return await folder.within(names, () => fs.writeFile(folder.path(...names), '', { mode: 0o600, flag: 'wx' }))
      } catch (err) {
        if (codeOf(err) === 'EEXIST') return
        // The last entry left just then, and took the folder along.
        if (codeOf(err) !== 'ENOENT' || attempt === ATTEMPTS_MAX) throw err
      }
    }
  }
  // Not empty, or gone already.
  const tidy = (user: string) => fs.rmdir(folder.path('users', user)).catch(() => undefined)
  const drop = async (owner: string, session: string): Promise<void> => {
    await ifThere(fs.unlink(folder.path('users', owner, session)))
    const user = (await records.findLive(session))?.user
    if (user !== undefined && hashOf(user) === owner) await enter(user, session)
    else await tidy(owner)
  }
  return {
    /** The hashes of the sessions that may be a user's. */
    sessionsOf: async (user: string) => (await folder.names('users', hashOf(user))).filter((name) => HASH.test(name)),
    enter,
    /** Drops an entry unless the session is, after all, the user's. */
    leave: (user: string, session: string) => drop(hashOf(user), session),
    /** Drops the entries of sessions that are no more. */
    async sweep(isOn: () => boolean): Promise<void> {
      for (const owner of await folder.names('users')) {
        if (!HASH.test(owner)) continue
        for (const session of await folder.names('users', owner)) {
          if (!isOn()) return
          if (HASH.test(session) && !(await records.has(session))) await drop(owner, session)
        }
        await tidy(owner)
      }
    }
  }
}
