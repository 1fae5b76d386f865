import type { Milliseconds } from '../../base/time'
import type { Dialect, Health, Scanner } from './dialect'

/** What the clients of `@valkey/valkey-glide` can do. */
export interface GlideShape {
  isClosed?: boolean
  customCommand(args: string[], options?: { route: unknown }): Promise<unknown>
  /** Clusters have it. */
  fcallWithRoute?: unknown
}

// What its core calls the codes of servers; all others it passes on.
const CODES: Record<string, string> = {
  ResponseError: 'ERR',
  NoScriptError: 'NOSCRIPT',
  ReadOnly: 'READONLY',
  BusyLoadingError: 'LOADING',
  ClusterDown: 'CLUSTERDOWN',
  MasterDown: 'MASTERDOWN',
  PermissionDenied: 'NOPERM'
}

/** Commands go as the client's core routes them; only SCAN, which has no key, names the primary of a cluster. */
export class Glide implements Dialect {
  readonly gathers: boolean
  readonly keyPrefix = ''
  readonly #client: GlideShape

  constructor(client: GlideShape) {
    this.#client = client
    this.gathers = !isCluster(client)
  }

  health(): Health {
    return this.#client.isClosed ? 'closed' : 'ready'
  }

  // The core keeps to itself which server it asks.
  nodeOf(): undefined {}

  get(key: string): Promise<unknown> {
    return this.#send(['GET', key])
  }

  mget(keys: string[]): Promise<unknown[]> {
    return this.#send(['MGET', ...keys])
  }

  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<unknown> {
    const condition = expected === undefined ? [] : expected === null ? ['NX'] : ['IFEQ', expected]
    return this.#send(['SET', key, value, ...(life === null ? [] : ['PX', String(life)]), ...condition])
  }

  del(key: string): Promise<unknown> {
    return this.#send(['DEL', key])
  }

  expire(key: string, seconds: number): Promise<unknown> {
    return this.#send(['EXPIRE', key, String(seconds)])
  }

  script(command: 'eval' | 'evalsha', script: string, keys: string[], args: string[]): Promise<unknown> {
    return this.#send([command.toUpperCase(), script, String(keys.length), ...keys, ...args])
  }

  async scanners(): Promise<Scanner[]> {
    if (!isCluster(this.#client)) return [this.#scanner()]
    const ids = await this.#send<Record<string, unknown> | { key: string }[]>(['CLUSTER', 'MYID'], 'allPrimaries')
    const addresses = Array.isArray(ids) ? ids.map(({ key }) => key) : Object.keys(ids)
    return addresses.map((address) => {
      const colon = address.lastIndexOf(':')
      return this.#scanner({
        type: 'routeByAddress',
        host: address.slice(0, colon),
        port: Number(address.slice(colon + 1))
      })
    })
  }

  #scanner(route?: object): Scanner {
    return (cursor, pattern, count) => this.#send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(count)], route)
  }

  #send<T>(args: string[], route?: unknown): Promise<T> {
    const reply = this.#client.customCommand(args, route === undefined ? undefined : { route }) as Promise<T>
    return reply.catch((err: unknown) => {
      throw asServerSaid(err)
    })
  }
}

function isCluster(client: GlideShape): boolean {
  return typeof client.fcallWithRoute === 'function'
}

// "An error was signalled by the server: - NoScriptError: No matching script", or "WRONGTYPE: Operation against ...".
function asServerSaid(err: unknown): unknown {
  if (!(err instanceof Error)) return err
  const [, name, rest] = /^(?:An error was signalled by the server: - )?([A-Za-z]+): (.*)/s.exec(err.message) ?? []
  return name === undefined ? err : new Error(`${CODES[name] ?? name} ${rest}`, { cause: err })
}
