import { type Found, type Life, type Listed, type LockPower, type Powers, type Write } from '../../store/contract'
import { leadsOn } from '../../store/found'
import { decodeRecord, META, withUsedAt, type Meta } from '../../record/record'
import { isPromise, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { RedisIndex } from './index'
import { textOf, type RedisLink } from './link'
import { redisLock } from './lock'
import { RedisRecords, type RedisSettings } from './records'
import { TOUCH } from './scripts'

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

  constructor(link: RedisLink, settings: RedisSettings) {
    this.#link = link
    this.#settings = settings
    this.#records = new RedisRecords(link, settings)
    this.#index = new RedisIndex(link, settings.prefix, (id) => this.#records.read(id))
    this.lock = redisLock(link, settings.prefix)
  }

  read(id: string): Promise<Found | null> {
    return this.#records.read(id).then(found)
  }

  write(write: Write): Promise<true | Found | null> {
    const px = this.#records.lifeOf(write.life, () => JSON.parse(write.text))
    if (write.user?.to !== undefined || isPromise(px)) return this.#writeIndexed(write, px)
    return this.#writeRecord(write, px)
  }

  // The index learns of a session before the record says whose it is, lest a crash in between hides it, and once more
  // afterwards, lest a list made in between drops it. Where the user stays the same, one update beside the write is
  // enough. The index of `from` is left alone: the next list sees whose the session is.
  async #writeIndexed(write: Write, span: MaybePromise<Milliseconds | null>): Promise<true | Found | null> {
    const px = await span
    const { id } = write
    const { from, to } = write.user ?? {}
    if (to === undefined) return this.#writeRecord(write, px)
    const expiresAt = px === null ? null : Date.now() + px
    const moved = from !== to
    const entered = this.#index.add(to, id, expiresAt, !moved)
    if (moved) await entered
    const [written] = await Promise.all([this.#writeRecord(write, px), entered])
    // Of a session that is gone the index keeps nothing.
    if (written === null) await this.#index.drop(to, id).catch(listTidiesUp)
    if (written === true && moved) await this.#index.add(to, id, expiresAt)
    return written
  }

  #writeRecord({ id, text, expected }: Write, px: Milliseconds | null): Promise<true | Found | null> {
    return expected === null ? this.#records.create(id, text, px) : this.#records.replace(id, text, expected, px)
  }

  async extend(id: string, life: Life, live?: () => object): Promise<boolean> {
    if (this.#settings.disableTouch) return true
    const text = this.#records.plain ? await this.#touchThere(id, life, live) : await this.#touchHere(id, life, live)
    if (text === null || leadsOn({ text })) return false
    const user = metaOf(text)?.i
    if (user !== undefined) this.#reindex(id, user, life.expiresAt)
    return true
  }

  async remove(id: string, user?: string): Promise<boolean> {
    const existed = await this.#records.remove(id)
    if (user !== undefined) await this.#index.drop(user, id).catch(listTidiesUp)
    return existed
  }

  list(user: string): Promise<Listed[]> {
    return this.#index.list(user)
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

  async #touchHere(id: string, life: Life, live?: () => object): Promise<string | null> {
    let text = await this.#records.read(id)
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
}

function found(text: string | null): Found | null {
  return text === null ? null : { text }
}

function metaOf(text: string): Meta | undefined {
  return text.includes(META) ? decodeRecord(text)?.meta : undefined
}

// What the index names is checked whenever it is listed, so an entry too many does no harm.
function listTidiesUp(): void {}
