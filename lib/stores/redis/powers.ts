import {
  fitted,
  isDue,
  type Extension,
  type Found,
  type Life,
  type Listed,
  type LockPower,
  type Powers,
  type UserChange
} from '../../store/contract'
import { leadsOn } from '../../store/found'
import { Latest } from '../../base/latest'
import { decodeRecord, META, withUsedAt, type Meta } from '../../record/record'
import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { isWriteRefusal } from './errors'
import { RedisIndex } from './index'
import { textOf, type RedisLink } from './link'
import { redisLock } from './lock'
import { RedisRecords, type RedisSettings } from './records'
import { READ, TOUCH } from './scripts'

const SEEN_MAX = 10_000
// Writers that get in the way of an extension have extended the session themselves.
const ATTEMPTS_MAX = 8

/**
 * The powers of the Redis store: each one command, beside those for the index of a user.
 *
 * Two options cost more. With a `serializer` other than JSON the server cannot look into a record, so a write reads
 * first, and an extension that is due reads and then writes; the same goes for extensions with a function as `ttl`.
 */
export class RedisPowers implements Powers {
  readonly sync = false
  readonly remote = true
  readonly lock: LockPower
  readonly #link: RedisLink
  readonly #settings: RedisSettings
  readonly #records: RedisRecords
  readonly #index: RedisIndex
  // When this process last saw a session used: until an extension is due a plain GET does, which the client may answer
  // from its own cache.
  readonly #seen = new Latest<string, Milliseconds>(SEEN_MAX)

  constructor(link: RedisLink, settings: RedisSettings) {
    this.#link = link
    this.#settings = settings
    this.#records = new RedisRecords(link, settings)
    this.#index = new RedisIndex(link, settings.prefix, (id) => this.#records.read(id))
    this.lock = redisLock(link, settings.prefix)
  }

  read(id: string, extend?: Extension): Promise<Found | null> {
    if (extend === undefined || this.#settings.disableTouch || this.#seenWithin(id, extend)) {
      return this.#records.read(id).then(found)
    }
    return this.#readAndExtend(id, extend)
  }

  async #readAndExtend(id: string, extend: Extension): Promise<Found | null> {
    const there = this.#records.plain && typeof this.#settings.ttl !== 'function'
    const text = there ? await this.#readThere(id, extend) : await this.#readHere(id, extend)
    if (text === null) return null
    const record = text.includes(META) ? decodeRecord(text) : undefined
    const meta = record?.meta
    // Of several requests in one millisecond the first one extended it.
    const extended = meta?.u === extend.now && this.#seen.get(id) !== extend.now
    this.#seen.set(id, meta?.u ?? extend.now)
    if (meta?.i !== undefined && meta.u === extend.now) {
      this.#reindex(id, meta.i, deadlineOf(fitted(extend, record), meta))
    }
    return extended ? { text, extended } : { text }
  }

  write(
    id: string,
    text: string,
    expected: string | null,
    life: Life,
    user?: UserChange
  ): Promise<true | Found | null> {
    const px = this.#records.lifeOf(life, () => JSON.parse(text))
    if (user?.to !== undefined || isPromise(px)) return this.#writeIndexed(id, text, expected, life, px, user ?? {})
    return this.#writeRecord(id, text, expected, life, px)
  }

  // The index learns of a session before the record says whose it is, lest a crash in between hides it, and once more
  // afterwards, lest a list made in between drops it. Where the user stays the same, one update beside the write is
  // enough. The index of `from` is left alone: the next list sees whose the session is.
  async #writeIndexed(
    id: string,
    text: string,
    expected: string | null,
    life: Life,
    span: MaybePromise<Milliseconds | null>,
    { from, to }: Partial<UserChange>
  ): Promise<true | Found | null> {
    const px = await span
    if (to === undefined) return this.#writeRecord(id, text, expected, life, px)
    const expiresAt = px === null ? null : Date.now() + px
    const moved = from !== to
    const entered = this.#index.add(to, id, expiresAt, !moved)
    if (moved) await entered
    const [written] = await Promise.all([this.#writeRecord(id, text, expected, life, px), entered])
    // Of a session that is gone the index keeps nothing.
    if (written === null) await this.#index.drop(to, id).catch(listTidiesUp)
    if (written === true && moved) await this.#index.add(to, id, expiresAt)
    return written
  }

  #writeRecord(
    id: string,
    text: string,
    expected: string | null,
    life: Life,
    px: Milliseconds | null
  ): Promise<true | Found | null> {
    const writing =
      expected === null ? this.#records.create(id, text, px) : this.#records.replace(id, text, expected, px)
    return writing.then((written) => {
      if (written === true) this.#seen.set(id, life.usedAt)
      return written
    })
  }

  async extend(id: string, life: Life, live?: () => object): Promise<boolean> {
    if (this.#settings.disableTouch) return true
    const text = this.#records.plain ? await this.#touchThere(id, life, live) : await this.#touchHere(id, life, live)
    if (text === null || leadsOn({ text })) return false
    this.#seen.set(id, life.usedAt)
    const user = metaOf(text)?.i
    if (user !== undefined) this.#reindex(id, user, life.expiresAt)
    return true
  }

  async remove(id: string, user?: string): Promise<boolean> {
    this.#seen.delete(id)
    const existed = await this.#records.remove(id)
    if (user !== undefined) await this.#index.drop(user, id).catch(listTidiesUp)
    return existed
  }

  list(user: string): Promise<Listed[]> {
    return this.#index.list(user)
  }

  /** Reads, and extends on the server if that is due, in one command. */
  async #readThere(id: string, extend: Extension): Promise<string | null> {
    const { disableTTL, ttl } = this.#settings
    const { now, after, idle, absolute, capped } = extend
    const spans = [idle, absolute, disableTTL ? null : Number(ttl) * SECOND]
    const limits = spans.map((span) => (span === null ? '' : String(Math.ceil(span))))
    const args = [String(now), String(after), ...limits, capped ? '1' : '']
    return textOf(await this.#link.runOnSession(READ, this.#records.key(id), ...args))
  }

  async #readHere(id: string, given: Extension): Promise<string | null> {
    const text = await this.#records.read(id)
    if (text === null) return null
    const record = decodeRecord(text)
    const meta = record?.meta
    const extend = fitted(given, record)
    const due = meta === undefined ? extend.idle !== null : isDue(extend, meta.u)
    const expiresAt = deadlineOf(extend, meta)
    if (!due || (expiresAt !== null && expiresAt <= extend.now)) return text
    try {
      return await this.#touchHere(id, { usedAt: extend.now, expiresAt }, undefined, text)
    } catch (err) {
      if (isWriteRefusal(err)) return text
      throw err
    }
  }

  /** Extends on the server, in one command. The record, or the empty text where it keeps no time of last use. */
  async #touchThere(id: string, life: Life, live?: () => object): Promise<string | null> {
    const px = await this.#records.lifeOf(
      life,
      async () => live?.() ?? JSON.parse((await this.#records.read(id)) ?? '{}')
    )
    const limit = px === null ? '' : String(px)
    const reply = await this.#link.runOnSession(TOUCH, this.#records.key(id), String(life.usedAt), limit)
    return reply === null ? null : (textOf(reply) ?? '')
  }

  async #touchHere(id: string, life: Life, live?: () => object, known?: string): Promise<string | null> {
    let text = known ?? (await this.#records.read(id))
    for (let attempt = 0; text !== null && attempt < ATTEMPTS_MAX; attempt++) {
      const current: string = text
      const fresh = withUsedAt(current, life.usedAt)
      const px = await this.#records.lifeOf(life, () => live?.() ?? JSON.parse(current || '{}'))
      if (fresh === current) {
        if (px !== null) await this.#link.expire(this.#records.key(id), Math.ceil(px / SECOND))
        return current
      }
      const written = await this.#records.replace(id, fresh, current, px)
      if (written === true) return fresh
      text = written === null ? null : written.text
    }
    return text
  }

  // Not waited for: the entry that is there lasts longer than until the next extension.
  #reindex(id: string, user: string, deadline: Milliseconds | null): void {
    const { ttl, disableTTL } = this.#settings
    const otherwise = typeof ttl === 'number' ? Date.now() + ttl * SECOND : null
    void this.#index.add(user, id, disableTTL ? null : (deadline ?? otherwise)).catch(listTidiesUp)
  }

  #seenWithin(id: string, extend: Extension): boolean {
    const usedAt = this.#seen.get(id)
    return usedAt !== undefined && extend.now - usedAt < extend.after
  }
}

function found(text: string | null): Found | null {
  return text === null ? null : { text }
}

function metaOf(text: string): Meta | undefined {
  return text.includes(META) ? decodeRecord(text)?.meta : undefined
}

/** When an extended session ends; `null`: neither limit is set. */
function deadlineOf({ now, idle, absolute }: Extension, meta: Meta | undefined): Milliseconds | null {
  const limits = [idle === null ? null : now + idle, absolute === null || !meta ? null : meta.c + absolute]
  const set = limits.filter((limit) => limit !== null)
  return set.length === 0 ? null : Math.min(...set)
}

// What the index names is checked whenever it is listed, so an entry too many does no harm.
function listTidiesUp(): void {}
