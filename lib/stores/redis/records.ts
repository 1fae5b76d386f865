import type { Found, Life, Write } from '../../store/contract'
import { isForwarding } from '../../store/record-cache'
import { META, OLD_META, type Meta } from '../../record/record'
import { hashOf } from '../../base/hash'
import { BoundedMap } from '../../base/maps'
import { chain, SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { fault, isUnknownOption, isWrongType, type RedisWait } from './errors'
import { Gathering } from '../../base/gather'
import type { Serializer } from '../option-rules'
import { listOf, textOf } from './dialect'
import { absentIfOther, type RedisLink } from './link'
import { REMOVE, TOUCH, WRITE } from './scripts'

// The old text travels along to be compared; a longer one is named by its hash, which only the script can tell.
const COMPARED_MAX = 4096
const REMEMBERED_MAX = 256
// Writers that get in the way of an extension have extended the session themselves.
const ATTEMPTS_MAX = 8

/** Seconds to keep a session, or the seconds for any session. */
export type RedisTtl = number | ((session: any) => MaybePromise<number>)

/** What the store was told, read at each use: connect-redis's properties may be changed later, too. */
export interface RedisSettings {
  prefix: string
  ttl: RedisTtl
  serializer: Serializer
  disableTTL: boolean
  disableTouch: boolean
  wait: RedisWait | undefined
}

/** One text to be put in the place of another (`null`: of nothing). */
interface Exchange {
  readonly key: string
  readonly text: string
  readonly px: Milliseconds | null
  readonly expected: string | null
}

/** What came of it: `true` when written, what is kept instead, `null` when nothing is. */
type Exchanged = true | string | null

/** Records in Redis, as the serializer writes them. */
export function redisRecords(link: RedisLink, settings: RedisSettings) {
  // Whether the SET of a server compares, where that has been seen.
  const compares = new Map<unknown, boolean>()
  // What a serializer made lately of the records that were written.
  const written = new BoundedMap<string, { text: string; raw: string }>(REMEMBERED_MAX)
  const keyOf = (id: string) => settings.prefix + id
  // Whether the server sees the very text that we see.
  const isPlain = () => (settings.serializer as unknown) === JSON

  const parse = async (raw: string): Promise<Found> => {
    try {
      return { text: raw, record: (await settings.serializer.parse(raw)) ?? null }
    } catch {
      // Something is kept, and it is no record.
      return { text: raw, record: null }
    }
  }
  const decode = (raw: string): MaybePromise<Found> => (isPlain() ? { text: raw } : parse(raw))
  const decoded = (result: Exchanged): MaybePromise<true | Found | null> =>
    typeof result === 'string' ? decode(result) : result
  // What was written here is known by the text it was made of; what was read, by what is kept.
  const keptOf = (id: string, expected: string): string => {
    const known = written.get(id)
    return known?.text === expected ? known.raw : expected
  }

  const exchangeAll = (all: Exchange[]): Promise<MaybePromise<Exchanged>[]> => {
    const node = link.nodeOf(all[0]!.key)
    const tries = compares.get(node) !== false
    const args = [tries ? '1' : '', ...all.flatMap(argumentsOf)]
    const keys = all.map(({ key }) => key)
    return link.run(WRITE, keys, args, (replies: unknown) =>
      listOf(replies, keys.length).map((reply, i) => {
        const { expected } = all[i]!
        const said = textOf(reply) ?? ''
        if (tries && expected !== null && isShort(expected) && isDone(said)) compares.set(node, said === '*')
        return resultOf(said, expected)
      })
    )
  }
  // SET does it by itself where nothing may be kept, and where the server's compares (Valkey since 8.1, Redis since
  // 8.4; versions do not tell). A script's answer has told whether it does, so that finding out cost nothing. What is
  // kept instead, in the rare case, and who is right meanwhile, the script tells as well.
  const exchangeOne = (exchange: Exchange): Promise<Exchanged> => {
    const { key, text, px, expected } = exchange
    const node = link.nodeOf(key)
    const inScript = () => exchangeAll([exchange]).then(([result]) => result!)
    if (expected !== null && !(isShort(expected) && compares.get(node))) return inScript()
    return link.set(key, text, px, expected).then(
      (done): MaybePromise<Exchanged> => done || inScript(),
      (err) => {
        if (expected === null || !isUnknownOption(err)) throw err
        // A failover has led to an older server, or a proxy is in between.
        compares.set(node, false)
        return inScript()
      }
    )
  }
  const writes = new Gathering(exchangeOne, (all: Exchange[]) =>
    exchangeAll(all).catch((err) => link.apart(err, all, exchangeOne))
  )
  const exchange = (one: Exchange, wait?: RedisWait): Promise<Exchanged> => {
    const { key, text, expected } = one
    if (wait !== undefined) {
      // Confirmed by replicas: what stood there before must not come back.
      const read = (reply: unknown) => resultOf(listOf(reply, 1)[0], expected)
      return link.runEverywhere(WRITE, key, ['', ...argumentsOf(one)], wait, read)
    }
    // A SET costs the server little more than half of its part in a script.
    const isApart = expected === null && link.pipelines
    return link.gathers && !isApart && text.length <= COMPARED_MAX && isShort(expected)
      ? writes.ask(one)
      : exchangeOne(one)
  }

  const read = (id: string) => link.get(keyOf(id)).then((raw) => (raw === null ? null : decode(raw)))
  const writeEncoded = async (
    { id, text, expected, live }: Write,
    px: Milliseconds | null,
    wait: RedisWait | undefined
  ): Promise<true | Found | null> => {
    const raw = await settings.serializer.stringify(live?.() ?? JSON.parse(text))
    const known = expected && keptOf(id, expected)
    const answer = await exchange({ key: keyOf(id), text: raw, px, expected: known }, wait)
    // A first write that a client sent twice has arrived all the same.
    const result = expected === null && answer === raw ? true : answer
    if (result === true && raw.length <= COMPARED_MAX) written.set(id, { text, raw })
    return decoded(result)
  }
  // The server cannot look into what a serializer made.
  const touchHere = async (id: string, life: Life, px: Milliseconds | null): Promise<Found | null> => {
    for (let attempt = 1; ; attempt++) {
      const found = await read(id)
      if (found === null || attempt > ATTEMPTS_MAX) return found
      const record = found.record as Record<string, unknown> | null
      const meta: unknown = record?.[META] ?? record?.[OLD_META]
      if (typeof meta !== 'object' || meta === null) {
        if (px !== null) await link.expire(keyOf(id), Math.ceil(px / SECOND))
        return found
      }
      ;(meta as Meta).u = life.usedAt
      const text = await settings.serializer.stringify(record)
      if ((await exchange({ key: keyOf(id), text, px, expected: found.text })) === true) return found
    }
  }

  return {
    read,
    /** Writes if what is kept still is what was expected. */
    write(write: Write, px: Milliseconds | null): Promise<true | Found | null> {
      const { id, text, expected } = write
      // An ID that was rotated away must not come back either.
      const wait = settings.wait && isForwarding({ text }) ? settings.wait : undefined
      if (isPlain()) return exchange({ key: keyOf(id), text, px, expected }, wait).then(decoded)
      return writeEncoded(write, px, wait)
    },
    /** Extends a session, its data untouched; what is kept then, `null` when nothing is. */
    touch(id: string, life: Life, px: Milliseconds | null): Promise<Found | null> {
      if (!isPlain()) return touchHere(id, life, px)
      const args = [String(life.usedAt), px === null ? '' : String(px)]
      return link.run(TOUCH, [keyOf(id)], args, textOf, absentIfOther).then((text) => (text === null ? null : { text }))
    },
    /** `false` when it was gone. With `expected`, only over that: what is kept instead is answered. */
    remove(id: string, expected?: string): Promise<boolean | Found> {
      const { wait } = settings
      const key = keyOf(id)
      if (wait === undefined && expected === undefined) return link.del(key)
      const args = expected === undefined ? [] : condition(keptOf(id, expected))
      const read = (reply: unknown): MaybePromise<boolean | Found> => {
        const text = textOf(reply) ?? ''
        return text[0] === '=' ? decode(text.slice(1)) : text === '+'
      }
      if (wait !== undefined) return link.runEverywhere(REMOVE, key, args, wait, read)
      return link.run(REMOVE, [key], args, read, (err) => absentIfOther(err) !== null)
    },
    /** For how long Redis is to keep a session, as connect-redis reckons it; `null`: for ever. */
    lifeOf(life: Life, session: () => unknown): MaybePromise<Milliseconds | null> {
      const { ttl, disableTTL } = settings
      if (disableTTL) return null
      if (typeof ttl === 'function') return chain(chain(session(), ttl), (seconds) => atLeastOne(seconds * SECOND))
      return atLeastOne(life.expiresAt === null ? ttl * SECOND : life.expiresAt - Date.now())
    }
  }
}

/** What came of one key of `WRITE`, by its reply. */
export function resultOf(reply: unknown, expected: string | null): MaybePromise<Exchanged> {
  const said = textOf(reply) ?? ''
  if (isDone(said)) return true
  if (said === '') return null
  if (said[0] === '=') return said.slice(1)
  const err = new Error(said.slice(1))
  if (expected !== null && isWrongType(err)) return null
  return Promise.reject(fault(err, WRITE.commands))
}

function isDone(said: string): boolean {
  return said === '+' || said === '*'
}

function isShort(expected: string | null): boolean {
  return expected === null || expected.length <= COMPARED_MAX
}

function argumentsOf({ text, px, expected }: Exchange): string[] {
  return [text, px === null ? '' : String(px), ...condition(expected)]
}

function condition(expected: string | null): [hash: string, known: string] {
  if (expected === null) return ['NX', '']
  return isShort(expected) ? ['', expected] : [sha1(expected), '']
}

// SET takes no life of nothing. What is over already is gone a millisecond later.
function atLeastOne(life: Milliseconds): Milliseconds {
  return Math.max(1, Math.ceil(life))
}

// Only tells texts of one session apart, to send the old one as 40 bytes: nothing rests on SHA-1 being unforgeable.
function sha1(text: string): string {
  return hashOf('sha1', text, 'hex')
}
