import type { EXPIRED, Found, Life, LockPower, Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import { extendedText, live, loaded, type RecordPowers } from '../../stores/record-store'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { randomId } from '../../base/ids'
import { BoundedMap } from '../../base/bounded-map'
import { decodeRecord, encodeRecord, type Meta } from '../../record/record'
import { MINUTE, type Milliseconds } from '../../base/time'
import { decodeCarried, encodeCarried, type Carried } from '../carried'
import { decodeKept, encodeKept } from '../codec/kept'
import { goCookieText } from '../options'
import { checkLength, type Content, type Format } from './content'
import { digestOf, type Shelf, type Shelved } from './shelf'
import type { GoTokens } from './tokens'

/** Writers that keep getting in the way of an extension have extended the session themselves. */
const ATTEMPTS_MAX = 8
const WRITES_MAX = 10_000
const FAULTS_MAX = 1000

/** What the powers are told of a store. */
interface GoSettings {
  readonly maxAge: Milliseconds | null
  readonly maxLength: number | null
}

// What this process wrote last under an ID: a later write of the same request goes on from there.
interface Written {
  readonly text: string
  readonly raw: string
  readonly version: string | undefined
}

/**
 * The powers of a server-side store of Go's. Records are the engine's at this seam, and Go's on the other side: what is
 * compared is what the backing keeps, so that a write of Go's in between is seen as well.
 */
export class GoPowers implements RecordPowers {
  readonly sync = false
  readonly remote: boolean
  /** What a session of Go's lasts that tells no end. */
  readonly ttl: Milliseconds | null
  readonly lock?: LockPower
  readonly #shelf: Shelf
  readonly #format: Format
  readonly #tokens: GoTokens
  readonly #settings: GoSettings
  readonly #faults = new BoundedMap<string, SessionError>(FAULTS_MAX)
  readonly #written = new BoundedMap<string, Written>(WRITES_MAX)

  constructor(shelf: Shelf, format: Format, tokens: GoTokens, settings: GoSettings) {
    this.remote = shelf.remote
    this.#shelf = shelf
    this.#format = format
    this.#tokens = tokens
    this.#settings = settings
    this.ttl = settings.maxAge
    if (shelf.lock !== undefined) this.lock = shelf.lock
  }

  async read(id: string): Promise<Found | null> {
    const shelved = await this.#shelf.read(id)
    return live(shelved && this.#foundOf(id, shelved))
  }

  async load(id: string): Promise<Found | typeof EXPIRED | null> {
    const shelved = await this.#shelf.read(id)
    // Go reads some of them still: what is over stays over only without its record.
    return loaded(shelved && this.#foundOf(id, shelved), () => this.#shelf.remove(id, shelved!.version))
  }

  async write({ id, text, expected, life }: Write): Promise<true | Found | null> {
    const raw = this.#rawOf(id, text, life.expiresAt)
    const before = expected === null ? null : await this.#versionOf(id, expected)
    const done = before !== undefined && (await this.#shelf.write(id, raw, life.expiresAt, before))
    if (!done) return this.read(id)
    const version = this.#shelf.versionOf(raw)
    this.#written.set(id, { text: hashOf('sha256', text, 'base64url'), raw: digestOf(raw), version })
    return true
  }

  async extend(id: string, life: Life): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await this.read(id)
      if (found === null || found.text === '' || isForwarding(found)) return false
      const text = extendedText(found.text, life)
      if ((await this.write({ id, text, expected: found.text, life })) === true) return true
    }
    return (await this.read(id)) !== null
  }

  async remove(id: string, _user?: string, expected?: string): Promise<boolean | Found> {
    if (expected === undefined) return this.#shelf.remove(id)
    const version = await this.#versionOf(id, expected)
    if (version !== undefined && (await this.#shelf.remove(id, version))) return true
    return (await this.read(id)) ?? false
  }

  /** What was wrong with a record when it was read last. */
  faultOf(id: string | undefined): SessionError | undefined {
    return id === undefined ? undefined : this.#faults.get(id)
  }

  /** Writes whatever is kept, and what is carried in it along. */
  async put(id: string, text: string, life: Life): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await this.read(id)
      const record = decodeRecord(text)
      if (record === undefined) return
      const before = found === null ? undefined : decodeRecord(found.text)?.meta
      const meta = record.meta ?? before
      const whole = meta === undefined ? text : encodeRecord(record.cookieText, meta, record.dataText)
      if ((await this.write({ id, text: whole, expected: found?.text ?? null, life })) === true) return
    }
  }

  // The version of a record as the engine has it: one that was read tells it, of one that was written it is known here.
  async #versionOf(id: string, text: string): Promise<string | undefined> {
    const known = this.#written.get(id)
    if (known?.text !== hashOf('sha256', text, 'base64url')) return decodeKept(decodeRecord(text)?.meta?.t)?.version
    if (known.version !== undefined) return known.version
    const shelved = await this.#shelf.read(id)
    return shelved !== null && digestOf(shelved.raw) === known.raw ? shelved.version : undefined
  }

  #rawOf(id: string, text: string, end: Milliseconds | null): Buffer {
    const record = decodeRecord(text)!
    const kept = decodeKept(record.meta?.t)
    const carried = encodeCarried(record, Date.now(), randomId().slice(0, 8), end)
    const raw = this.#format.encode(record.data, kept, carried, kept?.name ?? this.#tokens.nameOf(id))
    checkLength(raw, this.#settings.maxLength, text)
    return raw
  }

  #foundOf(id: string, shelved: Shelved): Found {
    let content: Content
    try {
      content = this.#format.decode(shelved.raw, this.#tokens.namesFor(id))
    } catch (err) {
      if (!(err instanceof SessionError) || err.kind !== 'decode') throw err
      // Something is kept, and it is no session: the engine says so.
      this.#faults.set(id, err)
      return { text: '' }
    }
    const { json, hint, definitions, name } = content
    const carried = decodeCarried(content.carried)
    const usedAt = this.#usedAt(shelved, content, carried)
    const { u: _usedAt, t: _types, ...rest }: Partial<Meta> = carried?.meta ?? {}
    const meta: Meta = { u: usedAt, c: rest.c ?? usedAt, ...rest }
    const types = encodeKept({ hint, definitions, version: shelved.version, name })
    if (types !== undefined) meta.t = types
    const text = encodeRecord(this.#cookieText(shelved, content, carried), meta, JSON.stringify(json))
    const expiresAt = this.#endOf(shelved, content, carried)
    return { text, usedAt, ...(expiresAt !== undefined && { expiresAt }) }
  }

  // Ours say so themselves; of Go's records the seal, a column or the time that is left tells when they were saved.
  #usedAt(shelved: Shelved, { ours, sealedAt }: Content, carried: Carried | undefined): Milliseconds {
    const now = Date.now()
    const own = carried?.meta?.u ?? carried?.issuedAt
    if (ours && own !== undefined) return own
    const { maxAge } = this.#settings
    const { expiresAt, modifiedAt } = shelved
    const told = modifiedAt ?? sealedAt
    if (told !== undefined) return Math.min(now, told)
    const saved = typeof expiresAt === 'number' && maxAge !== null ? expiresAt - maxAge : undefined
    // Nothing tells: long enough ago to be extended, not so long as to be over.
    return saved !== undefined && saved > 0 && saved <= now ? saved : now - MINUTE
  }

  #endOf(shelved: Shelved, { ours, sealedAt }: Content, carried: Carried | undefined): Milliseconds | null | undefined {
    const { maxAge } = this.#settings
    const ends = [shelved.expiresAt, ours ? carried?.end : undefined].filter((end) => typeof end === 'number')
    // Go refuses older seals, whoever made them.
    if (sealedAt !== undefined && maxAge !== null) ends.push(sealedAt + maxAge)
    return ends.length > 0 ? Math.min(...ends) : shelved.expiresAt
  }

  #cookieText({ modifiedAt, expiresAt }: Shelved, { ours }: Content, carried: Carried | undefined): string {
    const { maxAge } = this.#settings
    const span = typeof expiresAt === 'number' && modifiedAt !== undefined ? expiresAt - modifiedAt : maxAge
    const own = span !== null && span > 0 ? span : maxAge
    if (carried === undefined) return goCookieText(own)
    const kept = JSON.parse(carried.cookieText) as { originalMaxAge?: unknown }
    if (ours || own === null || typeof kept.originalMaxAge === 'number') return carried.cookieText
    // Go has saved it since, and sent a cookie that lasts.
    return JSON.stringify({ ...kept, originalMaxAge: own, expires: new Date(Date.now() + own) })
  }
}
