import fs from 'node:fs/promises'
import { codeOf, ifThere } from './errors'
import { HASH, hashOf, type Folder } from './folder'

const ATTEMPTS_MAX = 10

/**
 * Which sessions a user has: a folder per user, in it an empty file per session, both named by hashes.
 *
 * It may name too many sessions, never too few: an entry is made before its record and goes after it. Both under the
 * mutex of the session, so what the record says then is what counts.
 */
export class Users {
  readonly #folder: Folder

  constructor(folder: Folder) {
    this.#folder = folder
  }

  /** The hashes of the sessions that may be a user's. */
  async sessionsOf(user: string): Promise<string[]> {
    const names = await this.#folder.names('users', hashOf(user))
    return names.filter((name) => HASH.test(name))
  }

  async enter(user: string, session: string): Promise<void> {
    const folder = hashOf(user)
    const path = this.#folder.path('users', folder, session)
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#folder.within(`users/${folder}`, () => fs.writeFile(path, '', { mode: 0o600, flag: 'wx' }))
        return
      } catch (err) {
        if (codeOf(err) === 'EEXIST') return
        // The last entry left just then, and took the folder along.
        if (codeOf(err) !== 'ENOENT' || attempt === ATTEMPTS_MAX) throw err
      }
    }
  }

  leave(user: string, session: string): Promise<void> {
    return this.drop(hashOf(user), session)
  }

  /** The same by the name of the user's folder. */
  async drop(folder: string, session: string): Promise<void> {
    await ifThere(fs.unlink(this.#folder.path('users', folder, session)))
    await this.tidy(folder)
  }

  /** Removes a user's folder if nothing is in it. */
  async tidy(folder: string): Promise<void> {
    // Not empty, or gone already.
    await fs.rmdir(this.#folder.path('users', folder)).catch(isInUse)
  }

  /** Every entry, and the folder it lies in. */
  async *entries(): AsyncGenerator<{ folder: string; session: string }> {
    for (const folder of await this.#folder.names('users')) {
      if (!HASH.test(folder)) continue
      const sessions = await this.#folder.names('users', folder)
      if (sessions.length === 0) await this.tidy(folder)
      for (const session of sessions) if (HASH.test(session)) yield { folder, session }
    }
  }
}

function isInUse(): void {}
