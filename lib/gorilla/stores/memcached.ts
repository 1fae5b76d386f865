import { OptionError, quote, SessionError } from '../../base/errors'
import { DAY, SECOND, type Milliseconds } from '../../base/time'
import { MemcachedWire, type Reply } from './memcached-wire'
import type { Shelf, Shelved } from './shelf'

/** Memcached takes longer times for dates. */
const RELATIVE_MAX = (30 * DAY) / SECOND
const KEY_MAX = 250

/** Records in memcached, replaced only where its `cas` says that nobody else has. */
export class MemcachedShelf implements Shelf {
  readonly remote = true
  readonly #wires: readonly MemcachedWire[]
  readonly #prefix: string

  /** @param backing a client of `memcached`, of which the servers are taken, or `host:port` */
  constructor(backing: unknown, prefix: string) {
    const servers = serversOf(backing)
    if (servers.length === 0) {
      throw new OptionError(
        `gorillaSessions: the backing of memcache must be a client of memcached, or host:port, got ${quote(backing)}`
      )
    }
    this.#wires = servers.map(([host, port]) => new MemcachedWire(host, port))
    this.#prefix = prefix
  }

  async read(id: string): Promise<Shelved | null> {
    const { line, value, cas } = await this.#ask(id, (key) => `gets ${key}`)
    if (line !== 'END') throw refused(line)
    return value === undefined ? null : { raw: value, version: cas! }
  }

  async create(id: string, raw: Buffer, end: Milliseconds | null): Promise<boolean> {
    return this.#store(id, (key) => `add ${key} 0 ${timeOf(end)} ${raw.length}`, raw)
  }

  replace(id: string, raw: Buffer, end: Milliseconds | null, version: string): Promise<boolean> {
    return this.#store(id, (key) => `cas ${key} 0 ${timeOf(end)} ${raw.length} ${version}`, raw)
  }

  async remove(id: string, version?: string): Promise<boolean> {
    // A value that is over as soon as it is there.
    if (version !== undefined) return this.#store(id, (key) => `cas ${key} 0 -1 0 ${version}`, Buffer.alloc(0))
    const { line } = await this.#ask(id, (key) => `delete ${key}`)
    if (line !== 'DELETED' && line !== 'NOT_FOUND') throw refused(line)
    return line === 'DELETED'
  }

  /** Only reading tells. */
  versionOf(): undefined {
    return undefined
  }

  async #store(id: string, command: (key: string) => string, raw: Buffer): Promise<boolean> {
    const { line } = await this.#ask(id, command, raw)
    if (line === 'STORED') return true
    if (line === 'NOT_STORED' || line === 'EXISTS' || line === 'NOT_FOUND') return false
    throw refused(line)
  }

  async #ask(id: string, command: (key: string) => string, value?: Buffer): Promise<Reply> {
    const key = this.#prefix + id
    if (key.length > KEY_MAX || !/^[\x21-\x7e]+$/.test(key)) {
      throw new SessionError('ERR_SESSION_OPTION', 'The session ID cannot be part of a key of memcached.')
    }
    return this.#wires[serverOf(key, this.#wires.length)]!.command(command(key), value)
  }
}

function refused(line: string): SessionError {
  const word = /^[A-Z_]+/.exec(line)?.[0] ?? 'nothing it should'
  return new SessionError('ERR_SESSION_STORE', `memcached answered ${word}.`, { status: 503 })
}

function timeOf(end: Milliseconds | null): number {
  if (end === null) return 0
  const seconds = Math.ceil((end - Date.now()) / SECOND)
  if (seconds > RELATIVE_MAX) return Math.ceil(end / SECOND)
  return Math.max(1, seconds)
}

function serversOf(backing: unknown): [host: string, port: number][] {
  const { servers } = (backing ?? {}) as { servers?: unknown }
  const list = typeof backing === 'string' ? [backing] : Array.isArray(servers) ? servers : []
  return list.map((server) => {
    const match = /^(.*?)(?::(\d+))?$/.exec(String(server))!
    return [match[1]!, Number(match[2] ?? 11211)]
  })
}

// As gomemcache picks one of several: the checksum of the key, modulo their number.
function serverOf(key: string, count: number): number {
  if (count === 1) return 0
  let crc = 0xffffffff
  for (const byte of Buffer.from(key)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ((crc ^ 0xffffffff) >>> 0) % count
}
