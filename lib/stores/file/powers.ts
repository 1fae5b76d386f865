import {
  EXPIRED,
  type Found,
  type Life,
  type Listed,
  type LockPower,
  type Powers,
  type Write
} from '../../store/contract'
import { leadsOn } from '../../store/found'
import { withCookie } from '../../record/record'
import { guarded } from './errors'
import { hashOf, type Folder } from './folder'
import type { Mutex } from './mutex'
import { CORRUPT, isLive, type Kept, type Records } from './records'
import type { Users } from './users'

const BATCH = 16

/** A FileStore's powers. Reading and extending take no lock; everything that makes or removes a file does. */
export class FilePowers implements Powers {
  readonly sync = false
  readonly remote = false
  readonly lock: LockPower
  readonly #folder: Folder
  readonly #mutex: Mutex
  readonly #records: Records
  readonly #users: Users

  constructor(folder: Folder, mutex: Mutex, records: Records, users: Users, lock: LockPower) {
    this.#folder = folder
    this.#mutex = mutex
    this.#records = records
    this.#users = users
    this.lock = lock
  }

  /** What is no session is found once, as an empty text, so that its reason can be told. */
  read(id: string): Promise<Found | null> {
    return this.#guarded(async () => {
      const kept = await this.#records.find(hashOf(id))
      return isOver(kept) ? null : found(kept)
    })
  }

  load(id: string): Promise<Found | typeof EXPIRED | null> {
    return this.#guarded(async () => {
      const kept = await this.#records.find(hashOf(id))
      if (!isOver(kept)) return found(kept)
      return (await this.#letGo(hashOf(id))) && !leadsOn(kept) ? EXPIRED : null
    })
  }

  write({ id, text, expected, life, user }: Write): Promise<true | Found | null> {
    const hash = hashOf(id)
    return this.#alone(hash, async (check) => {
      const kept = await this.#live(hash)
      if (kept === undefined && expected !== null) return null
      if (kept !== undefined && kept.text !== expected) return foundOf(kept)
      await this.#save(id, hash, text, life, kept?.user, user === undefined ? kept?.user : user.to, check)
      return true
    })
  }

  /** Writes whatever is kept. */
  async put(id: string, text: string, life: Life, user: string | undefined): Promise<void> {
    const hash = hashOf(id)
    await this.#alone(hash, async (check) => {
      const kept = await this.#live(hash)
      await this.#save(id, hash, text, life, kept?.user, user, check)
    })
  }

  extend(id: string, life: Life): Promise<boolean> {
    const hash = hashOf(id)
    const { cookieText } = life
    if (cookieText === undefined) {
      return this.#guarded(async () => {
        const kept = await this.find(hash)
        return kept !== undefined && !leadsOn(kept) && this.#records.extend(kept, life)
      })
    }
    return this.#alone(hash, async (check) => {
      const kept = await this.#live(hash)
      if (kept === undefined || kept.text === '' || leadsOn(kept)) return false
      await this.#records.save(id, withCookie(kept.text, cookieText), life, kept.user, check)
      return true
    })
  }

  remove(id: string): Promise<boolean> {
    return this.erase(hashOf(id), () => true)
  }

  list(user: string): Promise<Listed[]> {
    return this.#guarded(async () => {
      const listed: Listed[] = []
      for (const hash of await this.#users.sessionsOf(user)) {
        const kept = await this.find(hash)
        if (kept?.user === user) listed.push({ id: kept.id, ...foundOf(kept) })
        else await this.dropEntry(hashOf(user), hash)
      }
      return listed
    })
  }

  /** A live session by the hash of its ID. */
  async find(hash: string): Promise<Kept | undefined> {
    const kept = await this.#records.find(hash)
    return kept === undefined || kept === CORRUPT || !isLive(kept) ? undefined : kept
  }

  /** Every live session. */
  each(visit: (kept: Kept) => void): Promise<void> {
    return this.#guarded(async () => {
      let batch: Promise<Kept | undefined>[] = []
      const flush = async () => {
        for (const kept of await Promise.all(batch)) if (kept !== undefined) visit(kept)
        batch = []
      }
      for await (const hash of this.#records.hashes()) {
        if (batch.push(this.find(hash)) === BATCH) await flush()
      }
      await flush()
    })
  }

  /** Removes every session. */
  clear(): Promise<void> {
    return this.#guarded(async () => {
      for await (const hash of this.#records.hashes()) await this.erase(hash, () => true)
    })
  }

  /** Removes a session and its entry, if it still is what it is to be removed for. `false` when no live one was. */
  erase(hash: string, condition: (kept: Kept) => boolean): Promise<boolean> {
    return this.#alone(hash, async () => {
      const kept = await this.#kept(hash)
      if (kept === undefined || !condition(kept)) return false
      const live = isLive(kept)
      const removed = await this.#records.remove(hash)
      if (kept.user !== undefined) await this.#users.leave(kept.user, hash)
      return removed && live
    })
  }

  /** Removes an entry from a user's folder unless its session is, after all, the user's. */
  dropEntry(folder: string, hash: string): Promise<void> {
    return this.#alone(hash, async () => {
      const kept = await this.#live(hash)
      if (kept?.user === undefined || hashOf(kept.user) !== folder) await this.#users.drop(folder, hash)
    })
  }

  async #save(
    id: string,
    hash: string,
    text: string,
    life: Life,
    from: string | undefined,
    to: string | undefined,
    check: () => void
  ): Promise<void> {
    if (to !== undefined && to !== from) await this.#users.enter(to, hash)
    await this.#records.save(id, text, life, to, check)
    if (from !== undefined && from !== to) await this.#users.leave(from, hash)
  }

  // Whoever removes an expired session may tell of it. Where nothing can be removed everybody does, until it can be swept.
  async #letGo(hash: string): Promise<boolean> {
    let mine = false
    await this.erase(hash, (now) => (mine = !isLive(now))).catch(() => (mine = true))
    return mine
  }

  // Inside the mutex.
  async #live(hash: string): Promise<Kept | undefined> {
    const kept = await this.#kept(hash)
    return kept !== undefined && isLive(kept) ? kept : undefined
  }

  async #kept(hash: string): Promise<Kept | undefined> {
    const kept = await this.#records.look(hash)
    if (kept !== CORRUPT) return kept
    await this.#records.setAside(hash)
    return undefined
  }

  #alone<T>(hash: string, work: (check: () => void) => Promise<T>): Promise<T> {
    return this.#guarded(() => this.#mutex.run(hash, work))
  }

  #guarded<T>(work: () => Promise<T>): Promise<T> {
    return guarded(async () => {
      await this.#folder.open()
      return work()
    })
  }
}

function isOver(kept: Kept | typeof CORRUPT | undefined): kept is Kept {
  return kept !== undefined && kept !== CORRUPT && !isLive(kept)
}

function foundOf({ text, usedAt, expiresAt }: Kept): Found {
  return { text, usedAt, expiresAt }
}

function found(kept: Kept | typeof CORRUPT | undefined): Found | null {
  if (kept === undefined) return null
  return kept === CORRUPT ? { text: '' } : foundOf(kept)
}
