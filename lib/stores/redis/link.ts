import { unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import { listOf, textOf, type Dialect, type EvalAndWait } from './dialect'
import {
  fault,
  isRefusedTogether,
  isUnknownScript,
  isWrongType,
  redirectionOf,
  unconfirmed,
  type RedisWait
} from './errors'
import { Gathering } from '../../base/gather'
import type { Script } from './scripts'

// A slot may be on its way to another node, and have arrived meanwhile.
const REDIRECTIONS_MAX = 3

interface Emitter {
  on?(event: string, listener: () => void): unknown
  once?(event: string, listener: () => void): unknown
  listenerCount?(event: string): number
}

type Reader<T> = (reply: any) => T | Promise<T>

/**
 * The connection to Redis as the store uses it: faults are `SessionError`s, nothing waits for a lost connection.
 *
 * No command that may have been carried out is ever sent again, and none is cancelled. While the client reconnects,
 * every command is refused at once instead of queueing up; only the very first connect is waited for.
 */
export class RedisLink {
  readonly #dialect: Dialect
  readonly #reads: Gathering<string, string | null>
  #gathers: boolean
  #wasReady: boolean

  constructor(client: object, dialect: Dialect) {
    this.#dialect = dialect
    this.#gathers = dialect.gathers
    this.#reads = new Gathering(
      (key) => this.#getOne(key),
      (keys) => this.#getMany(keys).catch((err) => this.apart(err, keys, (key) => this.#getOne(key)))
    )
    this.#wasReady = dialect.health() === 'ready'
    const emitter = client as Emitter
    if (!this.#wasReady) emitter.once?.('ready', () => (this.#wasReady = true))
    // node-redis tells of a lost connection by an error event, which without a listener ends the process. The fault
    // reaches every request that needs the store, so nothing is hidden.
    if ('isOpen' in client && emitter.listenerCount?.('error') === 0) emitter.on?.('error', () => undefined)
  }

  /** Whether what is asked for in one turn of the event loop may go in one command. */
  get gathers(): boolean {
    return this.#gathers
  }

  /** Something that stands for the server that keeps a key. */
  nodeOf(key: string): unknown {
    return this.#dialect.nodeOf(key)
  }

  /** `null` when nothing is there, or something that is no string. */
  get(key: string): Promise<string | null> {
    return this.#gathers ? this.#reads.ask(key) : this.#getOne(key)
  }

  #getOne(key: string): Promise<string | null> {
    return this.#ask('GET', 'get', () => this.#dialect.get(key), textOf, absentIfOther)
  }

  #getMany(keys: string[]): Promise<(string | null)[]> {
    const read = (replies: unknown[]) => listOf(replies, keys.length).map(textOf)
    return this.#ask('MGET', 'mget', () => this.#dialect.mget(keys), read)
  }

  /** Asks one by one, from now on, where a server refuses commands with several keys. @throws any other error */
  apart<T, R>(err: unknown, items: T[], one: (item: T) => Promise<R>): Promise<R>[] {
    if (!isRefusedTogether(err)) throw err
    this.#gathers = false
    return items.map(one)
  }

  /** `false` when `expected` was given and something else is there; `null` expects nothing. */
  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<boolean> {
    const send = () => this.#dialect.set(key, value, life, expected)
    return this.#ask(
      'SET',
      'set',
      send,
      (reply) => reply !== null,
      (err) => absentIfOther(err) !== null
    )
  }

  del(key: string): Promise<boolean> {
    const isDeleted = (deleted: unknown) => Number(deleted) > 0
    return this.#ask('DEL', 'del', () => this.#dialect.del(key), isDeleted)
  }

  /** Runs a script on one key, and fails unless replicas have its effect. */
  runEverywhere<T>(
    { source, commands }: Script,
    key: string,
    args: string[],
    wait: RedisWait,
    read: Reader<T>
  ): Promise<T> {
    const send = () => this.#evalAndWait({ source, key, args, ...wait })
    return this.#ask('EVAL', `${commands} wait`, send, ([reply, confirmed]) => {
      if (Number(confirmed) < wait.replicas) throw unconfirmed(Number(confirmed), wait)
      return read(reply)
    })
  }

  // A batch follows no redirection. A command does, and the client learns from it where the key is now; where its slot
  // is still being moved, the error says where to.
  async #evalAndWait(script: EvalAndWait): Promise<unknown[]> {
    let asked: string | undefined
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#dialect.evalAndWait!(script, asked)
      } catch (err) {
        const redirection = redirectionOf(err)
        if (redirection === undefined || attempt > REDIRECTIONS_MAX) throw err
        asked = redirection.asked
        if (asked === undefined) await this.#dialect.get(script.key)
      }
    }
  }

  async expire(key: string, seconds: number): Promise<void> {
    await this.#ask('EXPIRE', 'expire', () => this.#dialect.expire(key, seconds), Boolean)
  }

  /**
   * Runs a script, and gives it to a server that does not know it.
   *
   * @param instead what stands for the reply where the script failed
   */
  run<T>(
    { sha, source, commands }: Script,
    keys: string[],
    args: string[],
    read: Reader<T>,
    instead: (err: unknown) => T = rethrow
  ): Promise<T> {
    const load = (err: unknown) =>
      isUnknownScript(err) ? this.#dialect.script('eval', source, keys, args).then(read, instead) : instead(err)
    return this.#ask('EVALSHA', commands, () => this.#dialect.script('evalsha', sha, keys, args), read, load)
  }

  /** All keys that begin with `prefix`, each once, without the client's own key prefix. */
  async keys(prefix: string, count: number): Promise<string[]> {
    const own = this.#dialect.keyPrefix()
    const found = new Set<string>()
    const pattern = `${escapeGlob(own + prefix)}*`
    const ask = <R>(send: () => Promise<R>) => this.#ask('SCAN', 'scan', send, (reply): R | Promise<R> => reply)
    for (const scan of await ask(() => this.#dialect.scanners())) {
      let cursor = '0'
      do {
        const [next, keys] = await ask(() => scan(cursor, pattern, count))
        for (const key of keys) found.add(String(key).slice(own.length))
        cursor = String(next)
      } while (cursor !== '0')
    }
    return [...found]
  }

  // Every request comes by here: one promise is made, where `async` would make several.
  #ask<R, T>(
    command: string,
    needed: string,
    send: () => Promise<R>,
    read: (reply: R) => T | Promise<T>,
    instead: (err: unknown) => T | Promise<T> = rethrow
  ): Promise<T> {
    try {
      this.#refuseIfDown()
      return send().then(read, (err) => settled(err, command, needed, instead))
    } catch (err) {
      return Promise.reject(fault(err, command, needed))
    }
  }

  #refuseIfDown(): void {
    const health = this.#dialect.health()
    if (health === 'ready') {
      this.#wasReady = true
    } else if (health === 'closed') {
      throw unavailable(
        this.#wasReady
          ? 'The Redis client has been closed'
          : 'The Redis client is not connected: call client.connect() before the first request'
      )
    } else if (this.#wasReady) {
      throw unavailable('The connection to Redis is lost; the client is reconnecting')
    }
  }
}

/** What stands for "absent" where a key holds no string. @throws any other error */
export function absentIfOther(err: unknown): null {
  if (isWrongType(err)) return null
  throw err
}

async function settled<T>(
  err: unknown,
  command: string,
  needed: string,
  instead: (err: unknown) => T | Promise<T>
): Promise<T> {
  try {
    return await instead(err)
  } catch (final) {
    throw fault(final, command, needed)
  }
}

function rethrow(err: unknown): never {
  throw err
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
