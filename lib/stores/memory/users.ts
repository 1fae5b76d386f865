import { compact, ShardedMap } from '../../base/maps'
import type { Entry } from './powers'

/** Whose a session is, with its neighbours among that user's sessions. */
export class Ownership {
  newer: Entry | undefined = undefined

  constructor(
    readonly user: string,
    public older: Entry | undefined
  ) {}
}

/** Which sessions are a user's: for each user a list, newest first. */
export class Users {
  readonly #newest = new ShardedMap<Entry>()

  /** The sessions of a user, as they are now. */
  entries(user: string): Entry[] {
    const found: Entry[] = []
    for (let entry = this.#newest.get(user); entry !== undefined; entry = entry.ownership!.older) found.push(entry)
    return found
  }

  assign(entry: Entry, user: string | undefined): void {
    const { ownership } = entry
    if (ownership?.user === user) return
    if (ownership !== undefined) this.#remove(entry, ownership)
    if (user !== undefined) this.#add(entry, user)
  }

  #add(entry: Entry, user: string): void {
    const newest = this.#newest.get(user)
    // All sessions of a user share one copy of the name.
    entry.ownership = new Ownership(newest?.ownership!.user ?? compact(user), newest)
    if (newest !== undefined) newest.ownership!.newer = entry
    this.#newest.set(entry.ownership.user, entry)
  }

  #remove(entry: Entry, { user, newer, older }: Ownership): void {
    if (older !== undefined) older.ownership!.newer = newer
    if (newer !== undefined) newer.ownership!.older = older
    else if (older !== undefined) this.#newest.set(user, older)
    else this.#newest.delete(user)
    entry.ownership = undefined
  }
}
