import type { Dialect, Scanner } from './dialect'
import { redirectionOf } from './errors'

export interface GlideShape {
  isClosed?: boolean
  customCommand(args: string[], options?: { route: unknown }): Promise<unknown>
  /** Clusters have it. */
  fcallWithRoute?: unknown
}

// What its core calls the codes of servers; all others it passes on.
const CODES: Record<string, string> = {
  ResponseError: 'ERR',
  Moved: 'MOVED',
  NoScriptError: 'NOSCRIPT',
  ReadOnly: 'READONLY',
  BusyLoadingError: 'LOADING',
  ClusterDown: 'CLUSTERDOWN',
  MasterDown: 'MASTERDOWN',
  PermissionDenied: 'NOPERM'
}

/** How often and how long apart (ms, at most) a command is sent that a server did not carry out. */
const ATTEMPTS_MAX = 12
const PAUSE_MAX = 10

/** Commands go as the client's core routes them; only SCAN, which has no key, names the primary of a cluster. */
export function glide(client: GlideShape): Dialect {
  const isCluster = typeof client.fcallWithRoute === 'function'
  // Of parallel commands for a slot that is being moved, the core gives the ASKING of one to another, and hands out the
  // refusal of the first.
  const send = <T>(args: string[], route?: unknown, attempt = 1): Promise<T> => {
    const reply = client.customCommand(args, route === undefined ? undefined : { route }) as Promise<T>
    return reply.catch(async (err: unknown) => {
      const said = asServerSaid(err)
      if (!isCluster || attempt === ATTEMPTS_MAX || redirectionOf(said) === undefined) throw said
      await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MAX))
      return send<T>(args, route, attempt + 1)
    })
  }
  const scanner =
    (route?: object): Scanner =>
    (cursor, pattern, count) =>
      send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(count)], route)
  return {
    gathers: !isCluster,
    keyPrefix: () => '',
    health: () => (client.isClosed ? 'closed' : 'ready'),
    // The core keeps to itself which server it asks.
    nodeOf: () => undefined,
    get: (key) => send(['GET', key]),
    mget: (keys) => send(['MGET', ...keys]),
    set(key, value, life, expected) {
      const condition = expected === undefined ? [] : expected === null ? ['NX'] : ['IFEQ', expected]
      return send(['SET', key, value, ...(life === null ? [] : ['PX', String(life)]), ...condition])
    },
    del: (key) => send(['DEL', key]),
    expire: (key, seconds) => send(['EXPIRE', key, String(seconds)]),
    script: (command, script, keys, args) =>
      send([command.toUpperCase(), script, String(keys.length), ...keys, ...args]),
    async scanners() {
      if (!isCluster) return [scanner()]
      const ids = await send<Record<string, unknown> | { key: string }[]>(['CLUSTER', 'MYID'], 'allPrimaries')
      const addresses = Array.isArray(ids) ? ids.map(({ key }) => key) : Object.keys(ids)
      return addresses.map((address) => {
        const [, host, port] = /^(.*):(\d+)$/.exec(address)!
        return scanner({ type: 'routeByAddress', host, port: Number(port) })
      })
    }
  }
}

// "An error was signalled by the server: - NoScriptError: No matching script", or "WRONGTYPE: Operation against ...".
function asServerSaid(err: unknown): unknown {
  if (!(err instanceof Error)) return err
  const [, name, rest] = /^(?:An error was signalled by the server: - )?([A-Za-z]+): (.*)/s.exec(err.message) ?? []
  return name === undefined ? err : new Error(`${CODES[name] ?? name} ${rest}`, { cause: err })
}
