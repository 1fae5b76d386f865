import type { Found, Life } from '../../store/contract'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { chain, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { isUnknownOption, type RedisWait } from './errors'
import { textOf, type RedisLink } from './link'
import { REPLACE } from './scripts'

/** Redis 8.4, the first whose SET takes IFEQ, as REDIS_VERSION_NUM counts. */
const SET_COMPARES_SINCE = 0x080400
// The old text travels along to be compared; a longer one is named by its hash, which only the script can tell.
const COMPARED_MAX = 4096

/** Turns records into what Redis keeps, and back. Either may answer by promise. */
export interface RedisSerializer {
  parse(text: string): any
  stringify(record: any): string | Promise<string>
}

/** What the store was told, read at each use: connect-redis's properties may be changed later, too. */
export interface RedisSettings {
  prefix: string
  ttl: number | ((session: any) => number)
  serializer: RedisSerializer
  disableTTL: boolean
  disableTouch: boolean
  wait: RedisWait | undefined
}

/** Records as JSON text, whatever the serializer makes of them in Redis. */
export class RedisRecords {
  readonly #link: RedisLink
  readonly #settings: RedisSettings
  /** Whether the server has told that its SET compares. */
  #compares = false

  constructor(link: RedisLink, settings: RedisSettings) {
    this.#link = link
    this.#settings = settings
  }

  /** Whether the server sees the very text that we see. */
  get plain(): boolean {
    return (this.#settings.serializer as unknown) === JSON
  }

  key(id: string): string {
    return this.#settings.prefix + id
  }

  /** `null` when absent; the empty text for what the serializer cannot read. */
  read(id: string): Promise<string | null> {
    const raw = this.#link.get(this.key(id))
    return this.plain ? raw : raw.then((text) => (text === null ? null : this.#decode(text)))
  }

  /** Writes if nothing is kept. */
  async create(id: string, text: string, px: Milliseconds | null): Promise<true | Found> {
    const raw = await this.#encode(text)
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await this.#link.set(this.key(id), raw, px, null)) return true
      const current = await this.read(id)
      if (current !== null) return { text: current }
      // It expired just then.
    }
    throw new SessionError('ERR_SESSION_STORE', 'A key of the session store in Redis holds something else than text')
  }

  /** Writes if what is kept still is `expected`. */
  replace(id: string, text: string, expected: string, px: Milliseconds | null): Promise<true | Found | null> {
    if (!this.plain) return this.#replaceEncoded(id, text, expected, px)
    return this.#exchange(this.key(id), expected, text, px).then((other) =>
      typeof other === 'string' ? { text: other } : other
    )
  }

  // A serializer need not make the same of the same twice: only what it stands for decides.
  async #replaceEncoded(
    id: string,
    text: string,
    expected: string,
    px: Milliseconds | null
  ): Promise<true | Found | null> {
    const key = this.key(id)
    const raw = await this.#encode(text)
    let current = expected
    for (let attempt = 0; attempt < 3 && current === expected; attempt++) {
      const base = await this.#link.get(key)
      if (base === null) return null
      current = await this.#decode(base)
      if (current !== expected) break
      const other = await this.#exchange(key, base, raw, px)
      if (typeof other !== 'string') return other
      current = await this.#decode(other)
    }
    return { text: current }
  }

  // Redis 8.4 compares and sets by itself, others in a script. The script's answer tells which it is, so that finding
  // out costs nothing. What is there instead, in the rare case, takes a command more to see.
  #exchange(key: string, expected: string, raw: string, px: Milliseconds | null): Promise<true | string | null> {
    const short = expected.length <= COMPARED_MAX
    if (this.#compares && short) {
      return this.#link.set(key, raw, px, expected).then(
        (done): MaybePromise<true | string | null> => done || this.#link.get(key),
        (err) => {
          // A failover has led to an older server.
          if (!isUnknownOption(err)) throw err
          this.#compares = false
          return this.#exchange(key, expected, raw, px)
        }
      )
    }
    const limit = px === null ? '' : String(px)
    const old = short ? ['', expected] : [sha1(expected), '']
    return this.#link.runOnSession(REPLACE, key, raw, limit, ...old).then((reply) => {
      if (reply === null) return null
      if (typeof reply === 'number') this.#compares = reply >= SET_COMPARES_SINCE
      return textOf(reply) ?? true
    })
  }

  /** `false` when it was gone. */
  remove(id: string): Promise<boolean> {
    const { wait } = this.#settings
    const key = this.key(id)
    return wait === undefined ? this.#link.del(key) : this.#link.delEverywhere(key, wait)
  }

  /** For how long Redis is to keep a session, as connect-redis reckons it; `null`: for ever. */
  lifeOf(life: Life, session: () => unknown): MaybePromise<Milliseconds | null> {
    const { ttl, disableTTL } = this.#settings
    if (disableTTL) return null
    if (typeof ttl === 'function') return chain(session(), (known) => atLeastOne(ttl(known) * SECOND))
    return atLeastOne(life.expiresAt === null ? ttl * SECOND : life.expiresAt - Date.now())
  }

  async #decode(raw: string): Promise<string> {
    if (this.plain) return raw
    try {
      return JSON.stringify(await this.#settings.serializer.parse(raw)) ?? ''
    } catch {
      return ''
    }
  }

  async #encode(text: string): Promise<string> {
    return this.plain ? text : this.#settings.serializer.stringify(JSON.parse(text))
  }
}

// SET takes no life of nothing. What is over already is gone a millisecond later.
function atLeastOne(life: Milliseconds): Milliseconds {
  return Math.max(1, Math.ceil(life))
}

// Only tells texts of one session apart, to send the old one as 40 bytes: nothing rests on SHA-1 being unforgeable.
function sha1(text: string): string {
  return hashOf('sha1', text, 'hex')
}
