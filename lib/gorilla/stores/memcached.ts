import { must, SessionError, unavailable } from '../../base/errors'
import { AT_ONCE, exptimeOf } from '../../stores/memcached/link'
import { MemcachedWire, type Reply } from './memcached-wire'
import { demandBacking, type Shelf } from './shelf'

const KEY_MAX = 250
/** Of the IDs that Go makes: 32 bytes in base32. */
const ID_LENGTH = 52

/**
 * Records in memcached, replaced only where its `cas` says that nobody else has.
 * @param backing a client of `memcached`, of which the servers are taken, or `host:port`
 */
export function memcachedShelf(backing: unknown, prefix: string): Shelf {
  const servers = serversOf(backing)
  demandBacking(servers.length > 0, 'memcache', 'a client of memcached, or host:port', backing)
  const isPrefix = /^[\x21-\x7e]*$/.test(prefix) && prefix.length <= KEY_MAX - ID_LENGTH
  must(
    isPrefix,
    'gorillaSessions: `keyPrefix`',
    `ASCII without spaces, ${KEY_MAX - ID_LENGTH} characters at most`,
    prefix
  )
  const wires = servers.map(([host, port]) => new MemcachedWire(host, port))
  const ask = async (id: string, command: (key: string) => string, value?: Buffer): Promise<Reply> => {
    const key = prefix + id
    if (key.length > KEY_MAX || !/^[\x21-\x7e]+$/.test(key)) {
      throw new SessionError('ERR_SESSION_OPTION', 'The session ID cannot be part of a key of memcached.')
    }
    return wires[serverOf(key, wires.length)]!.command(command(key), value)
  }
  const store = async (id: string, command: (key: string) => string, raw: Buffer): Promise<boolean> => {
    const { line } = await ask(id, command, raw)
    if (line === 'STORED') return true
    if (line === 'NOT_STORED' || line === 'EXISTS' || line === 'NOT_FOUND') return false
    throw refused(line)
  }
  return {
    remote: true,
    async read(id) {
      const { line, value, cas } = await ask(id, (key) => `gets ${key}`)
      if (line !== 'END') throw refused(line)
      return value === undefined ? null : { raw: value, version: cas! }
    },
    write: (id, raw, end, version) => {
      const about = `0 ${end === null ? 0 : exptimeOf(end)} ${raw.length}`
      return store(id, (key) => (version === null ? `add ${key} ${about}` : `cas ${key} ${about} ${version}`), raw)
    },
    async remove(id, version) {
      // A value that is over as soon as it is there.
      if (version !== undefined) return store(id, (key) => `cas ${key} 0 ${AT_ONCE} 0 ${version}`, Buffer.alloc(0))
      const { line } = await ask(id, (key) => `delete ${key}`)
      if (line !== 'DELETED' && line !== 'NOT_FOUND') throw refused(line)
      return line === 'DELETED'
    },
    // Only reading tells.
    versionOf: () => undefined
  }
}

function refused(line: string): SessionError {
  const word = /^[A-Z_]+/.exec(line)?.[0] ?? 'nothing it should'
  return unavailable(`memcached answered ${word}.`)
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
