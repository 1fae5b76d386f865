import type { Milliseconds } from '../../base/time'
import type { Dialect } from './client'
import { fault, isRedirection, isUnknownScript, isWrongType, unconfirmed, unreachable, type RedisWait } from './errors'
import type { Script } from './scripts'

interface Emitter {
  on?(event: string, listener: () => void): unknown
  once?(event: string, listener: () => void): unknown
  listenerCount?(event: string): number
}

/** What becomes of a reply, and of an error that stands for one. */
interface Reading<R, T> {
  read?: (reply: R) => T
  instead?: (err: unknown) => T | Promise<T>
  /** The commands that an ACL must allow, lower case. @default the one that is sent */
  needed?: string
}

/**
 * The connection to Redis as the store uses it: faults are `SessionError`s, nothing waits for a lost connection.
 *
 * No command is ever retried or cancelled here. While the client reconnects, every command is refused at once instead
 * of queueing up; only the very first connect is waited for.
 */
export class RedisLink {
  readonly #dialect: Dialect
  #wasReady = false

  constructor(client: object, dialect: Dialect) {
    this.#dialect = dialect
    this.#wasReady = dialect.health() === 'ready'
    const emitter = client as Emitter
    if (!this.#wasReady) emitter.once?.('ready', () => (this.#wasReady = true))
    // node-redis tells of a lost connection by an error event, which without a listener ends the process. The fault
    // reaches every request that needs the store, so nothing is hidden.
    if ('isOpen' in client && emitter.listenerCount?.('error') === 0) emitter.on?.('error', () => undefined)
  }

  get keyPrefix(): string {
    return this.#dialect.keyPrefix
  }

  /** `null` when nothing is there, or something that is no string. */
  get(key: string): Promise<string | null> {
    return this.#ask('GET', () => this.#dialect.get(key), { read: textOf, instead: absentIfOther })
  }

  /** `false` when `expected` was given and something else is there; `null` expects nothing, a text Redis 8.4. */
  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<boolean> {
    const send = () => this.#dialect.set(key, value, life, expected)
    return this.#ask('SET', send, {
      read: (reply) => reply !== null,
      instead: async (err) => absentIfOther(err) !== null
    })
  }

  async del(key: string): Promise<boolean> {
    return Number(await this.#ask('DEL', () => this.#dialect.del(key))) > 0
  }

  /** Deletes, and fails unless replicas have confirmed it. */
  async delEverywhere(key: string, wait: RedisWait): Promise<boolean> {
    const send = () => this.#dialect.delAndWait(key, wait.replicas, wait.timeout)
    const redirected = async (err: unknown) => {
      if (!isRedirection(err)) throw err
      // A batch follows no redirection. A command does, and the client learns from it where the key is now.
      await this.#dialect.get(key)
      return send()
    }
    const [deleted, confirmed] = await this.#ask('DEL', () => send().catch(redirected), {
      needed: 'del get wait'
    })
    if (Number(confirmed) < wait.replicas) throw unconfirmed(Number(confirmed), wait)
    return Number(deleted) > 0
  }

  async expire(key: string, seconds: number): Promise<void> {
    await this.#ask('EXPIRE', () => this.#dialect.expire(key, seconds))
  }

  /** Runs a script on a session; `null` as well when the key holds no string. */
  runOnSession(script: Script, key: string, ...args: string[]): Promise<unknown> {
    return this.#run(script, key, args, absentIfOther)
  }

  run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    return this.#run(script, key, args, rethrow)
  }

  #run(
    { sha, source, commands }: Script,
    key: string,
    args: string[],
    instead: (err: unknown) => null
  ): Promise<unknown> {
    const load = (err: unknown) =>
      isUnknownScript(err) ? Promise.resolve(this.#dialect.eval(source, key, args)).catch(instead) : instead(err)
    return this.#ask('EVALSHA', () => this.#dialect.evalsha(sha, key, args), { instead: load, needed: commands })
  }

  /** All keys that begin with `prefix`, each once, without the client's own key prefix. */
  async keys(prefix: string, count: number): Promise<string[]> {
    const own = this.keyPrefix
    const found = new Set<string>()
    const pattern = `${escapeGlob(own + prefix)}*`
    for (const scan of await this.#ask('SCAN', () => this.#dialect.scanners())) {
      let cursor = '0'
      do {
        const [next, keys] = await this.#ask('SCAN', () => scan(cursor, pattern, count))
        for (const key of keys) found.add(String(key).slice(own.length))
        cursor = String(next)
      } while (cursor !== '0')
    }
    return [...found]
  }

  // Every request comes by here: one promise is made, where `async` would make several.
  #ask<R, T = R>(command: string, send: () => Promise<R>, { read, instead, needed }: Reading<R, T> = {}): Promise<T> {
    const failed = (err: unknown): never => {
      throw fault(err, command, needed ?? command.toLowerCase())
    }
    const refused = async (err: unknown) => instead!(err)
    try {
      this.#refuseIfDown()
      const caught = instead === undefined ? failed : (err: unknown) => refused(err).catch(failed)
      return Promise.resolve(send()).then(read, caught) as Promise<T>
    } catch (err) {
      return Promise.reject(fault(err, command, needed ?? command.toLowerCase()))
    }
  }

  #refuseIfDown(): void {
    const health = this.#dialect.health()
    if (health === 'ready') {
      this.#wasReady = true
    } else if (health === 'closed') {
      throw unreachable(
        this.#wasReady
          ? 'The Redis client has been closed'
          : 'The Redis client is not connected: call client.connect() before the first request'
      )
    } else if (this.#wasReady) {
      throw unreachable('The connection to Redis is lost; the client is reconnecting')
    }
  }
}

/** A reply as text: clients may be set to answer bytes. */
export function textOf(reply: unknown): string | null {
  if (typeof reply === 'string') return reply
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : null
}

function absentIfOther(err: unknown): null {
  if (isWrongType(err)) return null
  throw err
}

function rethrow(err: unknown): never {
  throw err
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
