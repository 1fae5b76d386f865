import { SessionError, unavailable } from '../../base/errors'
import { DAY, SECOND, type Milliseconds } from '../../base/time'
import { isRecord } from '../../record/record'

/** A client of `memcached` 2, as far as the store uses it. */
export interface MemcachedClient {
  /** The most bytes that it sends as one value. */
  maxValue?: number
  gets(key: string, callback: Reply): void
  set(key: string, value: unknown, lifetime: number, callback: Reply): void
  add(key: string, value: unknown, lifetime: number, callback: Reply): void
  cas(key: string, value: unknown, version: string, lifetime: number, callback: Reply): void
  del(key: string, callback: Reply): void
}

type Reply = (err: unknown, value?: unknown) => void

/** A value, and the number that the server gave to its last write. */
export interface Versioned {
  value: unknown
  version: string
}

/**
 * The commands that the store needs, by promise: faults are `SessionError`s, and every command is answered.
 *
 * The client answers `false` for two things, a condition that does not hold and a SERVER_ERROR of the server or of a
 * proxy before it. And it never answers a command whose connection broke, so each has a deadline here.
 */
export function memcachedLink(client: MemcachedClient, timeout: Milliseconds) {
  const ask = (command: string, send: (done: Reply) => void): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const refuse = () => reject(unanswered(command, timeout))
      // After a stall of the process the answer may be here, unread.
      const timer = setTimeout(() => setImmediate(refuse), timeout)
      const done: Reply = (err, value) => {
        clearTimeout(timer)
        if (err) reject(fault(err, command))
        else resolve(value)
      }
      try {
        send(done)
      } catch (err) {
        done(err)
      }
    })
  const gets = async (key: string): Promise<Versioned | undefined> => {
    const reply: unknown = await ask('gets', (done) => client.gets(key, done))
    if (reply === undefined) return undefined
    if (!isRecord(reply)) throw refused('gets')
    // The value's name is the key as it was sent: behind the client's namespace, or hashed if it was too long.
    const name = Object.keys(reply).find((each) => each !== 'cas')
    return { value: reply[name!], version: String(reply.cas) }
  }
  return {
    gets,
    async set(key: string, value: unknown, exptime: number): Promise<void> {
      const done = await ask('set', (callback) => client.set(key, value, exptime, callback))
      if (done !== true) throw refused('set')
    },
    /** `false` when something is kept under this key. */
    async add(key: string, value: unknown, exptime: number): Promise<boolean> {
      const done = await ask('add', (callback) =>
        client.add(key, value, exptime, (err, added) =>
          (err as { notStored?: unknown } | undefined)?.notStored === true
            ? callback(undefined, 'kept')
            : callback(err, added)
        )
      )
      if (done === false) throw refused('add')
      return done === true
    },
    /** `false` when another version is kept, or nothing: to be looked at, for it may be a refusal, too. */
    cas: async (key: string, value: unknown, version: string, exptime: number): Promise<boolean> =>
      (await ask('cas', (done) => client.cas(key, value, version, exptime, done))) === true,
    /** `false` when nothing was kept. */
    async del(key: string): Promise<boolean> {
      if ((await ask('delete', (done) => client.del(key, done))) === true) return true
      if ((await gets(key)) !== undefined) throw refused('delete')
      return false
    }
  }
}

export type MemcachedLink = ReturnType<typeof memcachedLink>

/** The longest life that memcached takes as such; what is more it takes for a Unix time. */
const RELATIVE_MAX = (30 * DAY) / SECOND

const LAST = 2 ** 31 - 1

export const AT_ONCE = -1

/**
 * When memcached is to forget a value, as its protocol has it: seconds from now, beyond 30 days a Unix time.
 *
 * One second more than asked for: the server's clock ticks once a second, so a life of n seconds may end after n - 1.
 * @see https://github.com/memcached/memcached/blob/master/doc/protocol.txt "Expiration times"
 */
export function exptimeOf(expiresAt: Milliseconds): number {
  const seconds = Math.max(0, Math.ceil((expiresAt - Date.now()) / SECOND)) + 1
  return seconds <= RELATIVE_MAX ? seconds : Math.min(Math.ceil(expiresAt / SECOND) + 1, LAST)
}

/** The error of a command that did not reach a server, or that the server did not take. */
function fault(err: unknown, command: string): SessionError {
  // The client may give one error, a list of them, or a text.
  const cause: unknown = Array.isArray(err) ? err[0] : err
  const message = cause instanceof Error ? cause.message : String(cause)
  // What the client cannot read it quotes, and that may be a session.
  const isQuoted = message.startsWith('Unknown response')
  const safe = isQuoted ? new Error('Unknown response from the memcached server') : cause
  return unavailable(`memcached did not carry out ${command}`, safe)
}

/** The server, or a proxy before it, answered SERVER_ERROR: the client keeps the reason to itself. */
function refused(command: string): SessionError {
  return unavailable(
    `memcached refused ${command}: look at the client's events "issue" and "failure", and whether the server has memory`
  )
}

function unanswered(command: string, timeout: Milliseconds): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `memcached did not answer ${command} within ${timeout} ms; check that it is reachable, or raise storeTimeout`,
    { status: 503 }
  )
}
