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
export class Users {
  readonly #folder: Folder
  readonly #records: Records

  constructor(folder: Folder, records: Records) {
    this.#folder = folder
    this.#records = records
  }

  /** The hashes of the sessions that may be a user's. */
  async sessionsOf(user: string): Promise<string[]> {
    const names = await this.#folder.names('users', hashOf(user))
    return names.filter((name) => HASH.test(name))
  }

  async enter(user: string, session: string): Promise<void> {
    const names = ['users', hashOf(user), session]
    for (let attempt = 1; ; attempt++) {
      try {
        const make = () => fs.writeFile(this.#folder.path(...names), '', { mode: 0o600, flag: 'wx' })
        return await this.#folder.within(names, make)
      } catch (err) {
        if (codeOf(err) === 'EEXIST') return
        // The last entry left just then, and took the folder along.
        if (codeOf(err) !== 'ENOENT' || attempt === ATTEMPTS_MAX) throw err
      }
    }
  }

  /** Drops an entry unless the session is, after all, the user's. */
  leave(user: string, session: string): Promise<void> {
    return this.#drop(hashOf(user), session)
  }

  /** Drops the entries of sessions that are no more. */
  async sweep(isOn: () => boolean): Promise<void> {
    for (const folder of await this.#folder.names('users')) {
      if (!HASH.test(folder)) continue
      for (const session of await this.#folder.names('users', folder)) {
        if (!isOn()) return
        if (HASH.test(session) && !(await this.#records.has(session))) await this.#drop(folder, session)
      }
      await this.#tidy(folder)
    }
  }

  async #drop(folder: string, session: string): Promise<void> {
    await ifThere(fs.unlink(this.#folder.path('users', folder, session)))
    const user = (await this.#records.findLive(session))?.user
    if (user !== undefined && hashOf(user) === folder) await this.enter(user, session)
    else await this.#tidy(folder)
  }

  async #tidy(folder: string): Promise<void> {
    // Not empty, or gone already.
    await fs.rmdir(this.#folder.path('users', folder)).catch(() => undefined)
  }
}
