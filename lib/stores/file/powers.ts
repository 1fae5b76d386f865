import type { Found, Life, Listed } from '../../store/contract'
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

export interface FilePowers extends ListedPowers {
  /** Removes expired sessions, and what is no session. */
  sweep(isOn: () => boolean): Promise<void>
}

export function filePowers({ folder, records, users, leases }: Files, ttl: Milliseconds): FilePowers {
  // Removes a session and its entry, if it still is what it is to be removed for; `undefined` when it is not.
  const erase = async (hash: string, isMeant: (kept: Kept) => boolean): Promise<Kept | undefined> => {
    let erased: Kept | undefined
    await records.change(hash, (kept) => {
      erased = kept !== undefined && isMeant(kept) ? kept : undefined
      return erased === undefined ? 'leave' : 'remove'
    })
    if (erased?.user !== undefined) await users.leave(erased.user, hash)
    return erased
  }
  // Some at a time: one after the other, writers would outrun a `clear()`.
  const inBatches = async <T>(work: (hash: string) => Promise<T>, visit?: (done: T) => void): Promise<void> => {
    let batch: Promise<T>[] = []
    const flush = async () => {
      for (const done of await Promise.all(batch)) visit?.(done)
      batch = []
    }
    for await (const hash of records.hashes()) {
      if (batch.push(work(hash)) === BATCH) await flush()
    }
    await flush()
  }
  // `choose` tells whose the session is to be, or nothing when it is not to be written.
  const write = (
    id: string,
    text: string,
    life: Life,
    choose: (live: Kept | undefined) => { user: string | undefined } | undefined
  ): Promise<void> =>
    folder.use(async () => {
      const hash = hashOf(id)
      const body = await records.encode(text)
      let from: string | undefined
      let to: string | undefined
      await records.change(hash, async (kept) => {
        const chosen = choose(kept?.isLive ? kept : undefined)
        from = to = kept?.user
        if (chosen === undefined) return 'leave'
        to = chosen.user
        if (to !== undefined && to !== from) await users.enter(to, hash)
        return { id, ...limitsOf(life), user: to, body, usedAt: life.usedAt }
      })
      if (to === from) return
      if (to !== undefined) await users.enter(to, hash)
      if (from !== undefined) await users.leave(from, hash)
    })

  return {
    sync: false,
    remote: false,
    ttl,
    lock: leases,
    // What is no session is found once, as an empty text, so that its reason can be told.
    read: (id) => folder.use(async () => live(found(await records.find(hashOf(id))))),
    load: (id) =>
      folder.use(async () => {
        const kept = found(await records.find(hashOf(id)))
        return loaded(kept, async () => (await erase(hashOf(id), (now) => !now.isLive)) !== undefined)
      }),
    async write({ id, text, expected, life, user }): Promise<true | Found | null> {
      let answer: true | Found | null = true
      await write(id, text, life, (live) => {
        answer = true
        if (live === undefined && expected !== null) answer = null
        if (live !== undefined && live.text !== expected) answer = foundOf(live)
        return answer === true ? { user: user === undefined ? live?.user : user.to } : undefined
      })
      return answer
    },
    put: (id, text, life, user) => write(id, text, life, () => ({ user })),
    extend: (id, life) =>
      folder.use(async () => {
        const hash = hashOf(id)
        const { cookieText, usedAt } = life
        if (cookieText === undefined) {
          const kept = await records.findLive(hash)
          if (kept === undefined || isForwarding(kept)) return false
          // Only the time of last use changes, which is the file's.
          if (refit(kept, life) === kept) return records.touch(hash, usedAt)
        }
        let isDone = false
        await records.change(hash, async (kept) => {
          isDone = false
          if (!kept?.isLive || isForwarding(kept)) return 'leave'
          if (cookieText !== undefined && kept.text === '') return 'leave'
          isDone = true
          const body = cookieText === undefined ? kept.body : await records.encode(withCookie(kept.text, cookieText))
          const { span, until } = refit(kept, life)
          return { id, span, until, user: kept.user, body, usedAt }
        })
        return isDone
      }),
    remove: (id, _user, expected) =>
      folder.use(async () => {
        let other: Kept | undefined
        const erased = await erase(hashOf(id), (kept) => {
          other = kept.isLive && expected !== undefined && kept.text !== expected ? kept : undefined
          return other === undefined
        })
        return other === undefined ? (erased?.isLive ?? false) : foundOf(other)
      }),
    list: (user) =>
      folder.use(async () => {
        const listed: Listed[] = []
        for (const hash of await users.sessionsOf(user)) {
          const kept = await records.findLive(hash)
          if (kept?.user === user) listed.push({ id: kept.id, ...foundOf(kept) })
          else await users.leave(user, hash)
        }
        return listed
      }),
    each: (visit) =>
      folder.use(() =>
        inBatches(records.findLive, (kept) => {
          if (kept !== undefined) visit({ id: kept.id, ...foundOf(kept) })
        })
      ),
    clear: () => folder.use(() => inBatches((hash) => erase(hash, () => true))),
    async sweep(isOn) {
      for await (const hash of records.hashes()) {
        if (!isOn()) return
        const kept = await records.find(hash)
        if (kept !== undefined && kept !== CORRUPT && !kept.isLive) await erase(hash, (now) => !now.isLive)
      }
    }
  }
}

function foundOf({ text, usedAt, expiresAt }: Kept): Found {
  return { text, usedAt, expiresAt }
}

function found(kept: Kept | typeof CORRUPT | undefined): Found | null {
  if (kept === undefined) return null
  return kept === CORRUPT ? { text: '' } : foundOf(kept)
}
