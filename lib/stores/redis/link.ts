import { unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'
import { listOf, textOf, type Dialect, type EvalAndWait } from './dialect'
import { fault, isRefusedTogether, isUnknownScript, isWrongType, redirectionOf, unconfirmed } from './errors'
import type { RedisWait } from './errors'
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
export function redisLink(client: object, dialect: Dialect) {
  let { gathers } = dialect
  let wasReady = dialect.health() === 'ready'
  const emitter = client as Emitter
  if (!wasReady) emitter.once?.('ready', () => (wasReady = true))
  // node-redis tells of a lost connection by an error event, which without a listener ends the process. The fault
  // reaches every request that needs the store, so nothing is hidden.
  if ('isOpen' in client && emitter.listenerCount?.('error') === 0) emitter.on?.('error', () => undefined)

  const refuseIfDown = (): void => {
    const health = dialect.health()
    if (health === 'ready') wasReady = true
    else if (health === 'closed') {
      throw unavailable(
        wasReady
          ? 'The Redis client has been closed'
          : 'The Redis client is not connected: call client.connect() before the first request'
      )
    } else if (wasReady) throw unavailable('The connection to Redis is lost; the client is reconnecting')
  }
  // Every request comes by here: one promise is made, where `async` would make several.
  const ask = <R, T>(
    needed: string,
    send: () => Promise<R>,
    read: (reply: R) => T | Promise<T>,
    instead: (err: unknown) => T | Promise<T> = rethrow
  ): Promise<T> => {
    try {
      refuseIfDown()
      return send().then(read, (err) => settled(err, needed, instead))
    } catch (err) {
      return Promise.reject(fault(err, needed))
    }
  }
  /** Asks one by one, from now on, where a server refuses commands with several keys. @throws any other error */
  const apart = <T, R>(err: unknown, items: T[], one: (item: T) => Promise<R>): Promise<R>[] => {
    if (!isRefusedTogether(err)) throw err
    gathers = false
    return items.map(one)
  }
  const getOne = (key: string) => ask('get', () => dialect.get(key), textOf, absentIfOther)
  const getMany = (keys: string[]) => {
    const read = (replies: unknown[]) => listOf(replies, keys.length).map(textOf)
    return ask('mget', () => dialect.mget(keys), read)
  }
  const reads = new Gathering(getOne, (keys: string[]) => getMany(keys).catch((err) => apart(err, keys, getOne)))
  // A batch follows no redirection. A command does, and the client learns from it where the key is now; where its slot
  // is still being moved, the error says where to.
  const evalAndWait = async (script: EvalAndWait): Promise<unknown[]> => {
    let asked: string | undefined
    for (let attempt = 1; ; attempt++) {
      try {
        return await dialect.evalAndWait!(script, asked)
      } catch (err) {
        const redirection = redirectionOf(err)
        if (redirection === undefined || attempt > REDIRECTIONS_MAX) throw err
        asked = redirection.asked
        if (asked === undefined) await dialect.get(script.key)
      }
    }
  }

  return {
    /** Whether what is asked for in one turn of the event loop may go in one command. */
    get gathers(): boolean {
      return gathers
    },
    apart,
    pipelines: dialect.pipelines,
    nodeOf: (key: string) => dialect.nodeOf(key),
    /** `null` when nothing is there, or something that is no string. */
    get: (key: string) => (gathers ? reads.ask(key) : getOne(key)),
    /** `false` when `expected` was given and something else is there; `null` expects nothing. */
    set: (key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<boolean> =>
      ask(
        'set',
        () => dialect.set(key, value, life, expected),
        (reply) => reply !== null,
        (err) => absentIfOther(err) !== null
      ),
    del: (key: string) =>
      ask(
        'del',
        () => dialect.del(key),
        (deleted) => Number(deleted) > 0
      ),
    expire: (key: string, seconds: number) => ask('expire', () => dialect.expire(key, seconds), Boolean),
    /**
     * Runs a script, and gives it to a server that does not know it.
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
        isUnknownScript(err) ? dialect.script('eval', source, keys, args).then(read, instead) : instead(err)
      return ask(commands, () => dialect.script('evalsha', sha, keys, args), read, load)
    },
    /** Runs a script on one key, and fails unless replicas have its effect. */
    runEverywhere<T>(
      { source, commands }: Script,
      key: string,
      args: string[],
      wait: RedisWait,
      read: Reader<T>
    ): Promise<T> {
      const send = () => evalAndWait({ source, key, args, ...wait })
      return ask(`${commands} wait`, send, ([reply, confirmed]) => {
        if (Number(confirmed) < wait.replicas) throw unconfirmed(Number(confirmed), wait)
        return read(reply)
      })
    },
    /** All keys that begin with `prefix`, each once, without the client's own key prefix. */
    async keys(prefix: string, count: number): Promise<string[]> {
      const own = dialect.keyPrefix()
      const found = new Set<string>()
      const pattern = `${escapeGlob(own + prefix)}*`
      const scanned = <R>(send: () => Promise<R>) => ask('scan', send, (reply): R | Promise<R> => reply)
      for (const scan of await scanned(() => dialect.scanners())) {
        let cursor = '0'
        do {
          const [next, keys] = await scanned(() => scan(cursor, pattern, count))
          for (const key of keys) found.add(String(key).slice(own.length))
          cursor = String(next)
        } while (cursor !== '0')
      }
      return [...found]
    }
  }
}

export type RedisLink = ReturnType<typeof redisLink>

/** What stands for "absent" where a key holds no string. @throws any other error */
export function absentIfOther(err: unknown): null {
  if (isWrongType(err)) return null
  throw err
}

async function settled<T>(err: unknown, needed: string, instead: (err: unknown) => T | Promise<T>): Promise<T> {
  try {
    return await instead(err)
  } catch (final) {
    throw fault(final, needed)
  }
}

function rethrow(err: unknown): never {
  throw err
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
