import type { EXPIRED, Found, Life, Listed, LockPower, Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import { live, loaded, type ListedPowers } from '../record-store'
import { withCookie } from '../../record/record'
import type { Milliseconds } from '../../base/time'
import { hashOf, type Folder } from './folder'
import { limitsOf, refit } from './format'
import type { Leases } from './leases'
import { CORRUPT, type Kept, type Records } from './records'
import type { Users } from './users'

const BATCH = 16

/** The files of one store. */
export interface Files {
  folder: Folder
  records: Records
  users: Users
  leases: Leases
}

/** A FileStore's powers. */
export class FilePowers implements ListedPowers {
  readonly sync = false
  readonly remote = false
  readonly ttl: Milliseconds
  readonly lock: LockPower
  readonly #folder: Folder
  readonly #records: Records
  readonly #users: Users

  constructor({ folder, records, users, leases }: Files, ttl: Milliseconds) {
    this.#folder = folder
    this.#records = records
    this.#users = users
    this.ttl = ttl
    this.lock = leases
  }

  /** What is no session is found once, as an empty text, so that its reason can be told. */
  read(id: string): Promise<Found | null> {
    return this.#folder.use(async () => live(found(await this.#records.find(hashOf(id)))))
  }

  load(id: string): Promise<Found | typeof EXPIRED | null> {
    return this.#folder.use(async () => {
      const kept = found(await this.#records.find(hashOf(id)))
      return loaded(kept, async () => (await this.#erase(hashOf(id), (now) => !now.isLive)) !== undefined)
    })
  }

  async write({ id, text, expected, life, user }: Write): Promise<true | Found | null> {
    let answer: true | Found | null = true
    await this.#put(id, text, life, (live) => {
      answer = true
      if (live === undefined && expected !== null) answer = null
      if (live !== undefined && live.text !== expected) answer = foundOf(live)
      return answer === true ? { user: user === undefined ? live?.user : user.to } : undefined
    })
    return answer
  }

  put(id: string, text: string, life: Life, user: string | undefined): Promise<void> {
    return this.#put(id, text, life, () => ({ user }))
  }

  extend(id: string, life: Life): Promise<boolean> {
    const hash = hashOf(id)
    const { cookieText, usedAt } = life
    return this.#folder.use(async () => {
      if (cookieText === undefined) {
        const kept = await this.#records.findLive(hash)
        if (kept === undefined || isForwarding(kept)) return false
        // Only the time of last use changes, which is the file's.
        if (refit(kept, life) === kept) return this.#records.touch(hash, usedAt)
      }
      let isDone = false
      await this.#records.change(hash, async (kept) => {
        isDone = false
        if (!kept?.isLive || isForwarding(kept)) return 'leave'
        if (cookieText !== undefined && kept.text === '') return 'leave'
        isDone = true
        const body =
          cookieText === undefined ? kept.body : await this.#records.encode(withCookie(kept.text, cookieText))
        const { span, until } = refit(kept, life)
        return { id, span, until, user: kept.user, body, usedAt }
      })
      return isDone
    })
  }

  remove(id: string, _user?: string, expected?: string): Promise<boolean | Found> {
    return this.#folder.use(async () => {
      let other: Kept | undefined
      const isMeant = (kept: Kept) => {
        other = kept.isLive && expected !== undefined && kept.text !== expected ? kept : undefined
        return other === undefined
      }
      const erased = await this.#erase(hashOf(id), isMeant)
      return other === undefined ? (erased?.isLive ?? false) : foundOf(other)
    })
  }

  list(user: string): Promise<Listed[]> {
    return this.#folder.use(async () => {
      const listed: Listed[] = []
      for (const hash of await this.#users.sessionsOf(user)) {
        const kept = await this.#records.findLive(hash)
        if (kept?.user === user) listed.push({ id: kept.id, ...foundOf(kept) })
        else await this.#users.leave(user, hash)
      }
      return listed
    })
  }

  each(visit: (found: Listed) => void): Promise<void> {
    return this.#folder.use(async () => {
      let batch: Promise<Kept | undefined>[] = []
      const flush = async () => {
        for (const kept of await Promise.all(batch)) if (kept !== undefined) visit({ id: kept.id, ...foundOf(kept) })
        batch = []
      }
      for await (const hash of this.#records.hashes()) {
        if (batch.push(this.#records.findLive(hash)) === BATCH) await flush()
      }
      await flush()
    })
  }

  clear(): Promise<void> {
    return this.#folder.use(async () => {
      for await (const hash of this.#records.hashes()) await this.#erase(hash, () => true)
    })
  }

  /** Moves a text that is no JSON out of the way, but not what the serializer could not read. */
  async reject(id: string, text: string): Promise<void> {
    if (text === '') return
    const isBad = (kept: Kept | typeof CORRUPT | undefined) => kept === CORRUPT || kept?.text === text
    // Else it stays where it is, and is no session there either.
    await this.#records.setAside(hashOf(id), isBad).catch(() => undefined)
  }

  /** Removes expired sessions, and what is no session. */
  async sweep(isOn: () => boolean): Promise<void> {
    for await (const hash of this.#records.hashes()) {
      if (!isOn()) return
      const kept = await this.#records.find(hash)
      if (kept !== undefined && kept !== CORRUPT && !kept.isLive) await this.#erase(hash, (now) => !now.isLive)
    }
  }

  // `choose` tells whose the session is to be, or nothing when it is not to be written.
  #put(
    id: string,
    text: string,
    life: Life,
    choose: (live: Kept | undefined) => { user: string | undefined } | undefined
  ): Promise<void> {
    return this.#folder.use(async () => {
      const hash = hashOf(id)
      const body = await this.#records.encode(text)
      let from: string | undefined
      let to: string | undefined
      await this.#records.change(hash, async (kept) => {
        const chosen = choose(kept?.isLive ? kept : undefined)
        from = to = kept?.user
        if (chosen === undefined) return 'leave'
        to = chosen.user
        if (to !== undefined && to !== from) await this.#users.enter(to, hash)
        return { id, ...limitsOf(life), user: to, body, usedAt: life.usedAt }
      })
      if (to === from) return
      if (to !== undefined) await this.#users.enter(to, hash)
      if (from !== undefined) await this.#users.leave(from, hash)
    })
  }

  // Removes a session and its entry, if it still is what it is to be removed for; `undefined` when it is not.
  async #erase(hash: string, isMeant: (kept: Kept) => boolean): Promise<Kept | undefined> {
    let erased: Kept | undefined
    await this.#records.change(hash, (kept) => {
      erased = kept !== undefined && isMeant(kept) ? kept : undefined
      return erased === undefined ? 'leave' : 'remove'
    })
    if (erased?.user !== undefined) await this.#users.leave(erased.user, hash)
    return erased
  }
}

function foundOf({ text, usedAt, expiresAt }: Kept): Found {
  return { text, usedAt, expiresAt }
}

function found(kept: Kept | typeof CORRUPT | undefined): Found | null {
  if (kept === undefined) return null
  return kept === CORRUPT ? { text: '' } : foundOf(kept)
}
