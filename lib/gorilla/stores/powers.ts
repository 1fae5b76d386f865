import type { Found, Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import { extendedText, live, loaded, type RecordPowers } from '../../stores/record-store'
import { sessionTooLarge } from '../../stores/too-large'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { BoundedMap } from '../../base/maps'
import { decodeRecord, encodeRecord, type Meta } from '../../record/record'
import { MINUTE, type Milliseconds } from '../../base/time'
import { decodeCarried, encodeCarried, type Carried } from '../carried'
import { decodeKept, encodeKept } from '../codec/kept'
import { goCookieText } from '../options'
import type { Content, Format } from './content'
import { digestOf, type Shelf, type Shelved } from './shelf'
import type { GoTokens } from './tokens'

/** Writers that keep getting in the way of an extension have extended the session themselves. */
const ATTEMPTS_MAX = 8
const WRITES_MAX = 10_000
const FAULTS_MAX = 1000

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

// What tells of one record.
interface Told extends Shelved, Omit<Content, 'carried'> {
  readonly carried: Carried | undefined
  readonly maxAge: Milliseconds | null
}

export interface GoPowers extends RecordPowers {
  /** What was wrong with a record when it was read last. */
  faultOf(id: string | undefined): SessionError | undefined
}

/**
 * The powers of a server-side store of Go's. Records are the engine's at this seam, and Go's on the other side: what is
 * compared is what the backing keeps, so that a write of Go's in between is seen as well.
 */
export function goPowers(shelf: Shelf, format: Format, tokens: GoTokens, { maxAge, maxLength }: GoSettings): GoPowers {
  const faults = new BoundedMap<string, SessionError>(FAULTS_MAX)
  const written = new BoundedMap<string, Written>(WRITES_MAX)

  // The version of a record as the engine has it: one that was read tells it, of one that was written it is known here.
  const versionOf = async (id: string, text: string): Promise<string | undefined> => {
    const known = written.get(id)
    if (known?.text !== hashOf('sha256', text, 'base64url')) return decodeKept(decodeRecord(text)?.meta?.t)?.version
    if (known.version !== undefined) return known.version
    const shelved = await shelf.read(id)
    return shelved !== null && digestOf(shelved.raw) === known.raw ? shelved.version : undefined
  }

  const rawOf = (id: string, text: string, end: Milliseconds | null): Buffer => {
    const record = decodeRecord(text)!
    const kept = decodeKept(record.meta?.t)
    const carried = encodeCarried(record, Date.now(), end)
    const raw = format.encode(record.data, kept, carried, kept?.name ?? tokens.nameOf(id))
    if (maxLength === null || raw.length <= maxLength) return raw
    throw sessionTooLarge(raw.length, `the ${maxLength} of maxLength, beyond which Go takes none`, text)
  }

  const foundOf = (id: string, shelved: Shelved): Found => {
    let content: Content
    try {
      content = format.decode(shelved.raw, tokens.namesFor(id))
    } catch (err) {
      if (!(err instanceof SessionError) || err.kind !== 'decode') throw err
      // Something is kept, and it is no session: the engine says so.
      faults.set(id, err)
      return { text: '' }
    }
    const { json, hint, definitions, name } = content
    const told: Told = { ...shelved, ...content, carried: decodeCarried(content.carried), maxAge }
    const usedAt = usedAtIn(told)
    const { u: _usedAt, t: _types, ...rest }: Partial<Meta> = told.carried?.meta ?? {}
    const meta: Meta = { u: usedAt, c: rest.c ?? usedAt, ...rest }
    const types = encodeKept({ hint, definitions, version: shelved.version, name })
    if (types !== undefined) meta.t = types
    const text = encodeRecord(cookieTextOf(told), meta, JSON.stringify(json))
    const expiresAt = endOf(told)
    return { text, usedAt, ...(expiresAt !== undefined && { expiresAt }) }
  }

  const read = async (id: string): Promise<Found | null> => {
    const shelved = await shelf.read(id)
    return live(shelved && foundOf(id, shelved))
  }
  const write = async ({ id, text, expected, life }: Write): Promise<true | Found | null> => {
    const raw = rawOf(id, text, life.expiresAt)
    const before = expected === null ? null : await versionOf(id, expected)
    const done = before !== undefined && (await shelf.write(id, raw, life.expiresAt, before))
    if (!done) return read(id)
    const version = shelf.versionOf(raw)
    written.set(id, { text: hashOf('sha256', text, 'base64url'), raw: digestOf(raw), version })
    return true
  }

  return {
    sync: false,
    remote: shelf.remote,
    // What a session of Go's lasts that tells no end.
    ttl: maxAge,
    ...(shelf.lock && { lock: shelf.lock }),
    read,
    async load(id) {
      const shelved = await shelf.read(id)
      // Go reads some of them still: what is over stays over only without its record.
      return loaded(shelved && foundOf(id, shelved), () => shelf.remove(id, shelved!.version))
    },
    write,
    // Writes whatever is kept, and what is carried in it along.
    async put(id, text, life) {
      const record = decodeRecord(text)
      if (record === undefined) return
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const found = await read(id)
        const meta = record.meta ?? (found === null ? undefined : decodeRecord(found.text)?.meta)
        const whole = meta === undefined ? text : encodeRecord(record.cookieText, meta, record.dataText)
        if ((await write({ id, text: whole, expected: found?.text ?? null, life })) === true) return
      }
    },
    async extend(id, life) {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const found = await read(id)
        if (found === null || found.text === '' || isForwarding(found)) return false
        const text = extendedText(found.text, life)
        if ((await write({ id, text, expected: found.text, life })) === true) return true
      }
      return (await read(id)) !== null
    },
    async remove(id, _user, expected) {
      if (expected === undefined) return shelf.remove(id)
      const version = await versionOf(id, expected)
      if (version !== undefined && (await shelf.remove(id, version))) return true
      return (await read(id)) ?? false
    },
    faultOf: (id) => (id === undefined ? undefined : faults.get(id))
  }
}

// Ours say so themselves; of Go's records the seal, a column or the time that is left tells when they were saved.
function usedAtIn({ ours, sealedAt, expiresAt, modifiedAt, carried, maxAge }: Told): Milliseconds {
  const now = Date.now()
  const own = carried?.meta?.u ?? carried?.issuedAt
  if (ours && own !== undefined) return own
  const told = modifiedAt ?? sealedAt
  if (told !== undefined) return Math.min(now, told)
  const saved = typeof expiresAt === 'number' && maxAge !== null ? expiresAt - maxAge : undefined
  // Nothing tells: long enough ago to be extended, not so long as to be over.
  return saved !== undefined && saved > 0 && saved <= now ? saved : now - MINUTE
}

function endOf({ ours, sealedAt, expiresAt, carried, maxAge }: Told): Milliseconds | null | undefined {
  const ends = [expiresAt, ours ? carried?.end : undefined].filter((end) => typeof end === 'number')
  // Go refuses older seals, whoever made them.
  if (sealedAt !== undefined && maxAge !== null) ends.push(sealedAt + maxAge)
  return ends.length > 0 ? Math.min(...ends) : expiresAt
}

function cookieTextOf({ ours, expiresAt, modifiedAt, carried, maxAge }: Told): string {
  const span = typeof expiresAt === 'number' && modifiedAt !== undefined ? expiresAt - modifiedAt : maxAge
  const own = span !== null && span > 0 ? span : maxAge
  if (carried === undefined) return goCookieText(own)
  const kept = JSON.parse(carried.cookieText) as { originalMaxAge?: unknown }
  if (ours || own === null || typeof kept.originalMaxAge === 'number') return carried.cookieText
  // Go has saved it since, and sent a cookie that lasts.
  return JSON.stringify({ ...kept, originalMaxAge: own, expires: new Date(Date.now() + own) })
}
