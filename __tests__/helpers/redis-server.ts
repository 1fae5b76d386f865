import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const READY = /Ready to accept connections|Sentinel ID is/
const children = new Set<ChildProcess>()

process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Waits until `check` holds, asking again and again; for what announces itself by no event. */
export async function until(check: () => unknown, what: string, within = 20_000): Promise<void> {
  const deadline = performance.now() + within
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A real Redis server of one test, on a port of its own, with nothing on disk but what `flags` ask for. */
export class RedisServer {
  #child: ChildProcess | undefined
  readonly #args: string[]

  private constructor(
    readonly port: number,
    readonly folder: string,
    args: string[]
  ) {
    this.#args = args
  }

  static async start(flags: string[] = [], port?: number): Promise<RedisServer> {
    port ??= await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'redis-'))
    const common = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
    const server = new RedisServer(port, folder, [...common, '--save', '', '--appendonly', 'no', ...flags])
    await server.restart()
    return server
  }

  static async startSentinel(masterPort: number): Promise<RedisServer> {
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'redis-'))
    const config = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${masterPort} 1`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 3000'
    ]
    const file = join(folder, 'sentinel.conf')
    await writeFile(file, config.join('\n') + '\n')
    const server = new RedisServer(port, folder, [file, '--sentinel'])
    await server.restart()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Starts it, on the same port. */
  async restart(): Promise<void> {
    await this.kill()
    const child = spawn('redis-server', this.#args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    children.add(child)
    child.once('exit', () => children.delete(child))
    await new Promise<void>((resolve, reject) => {
      let output = ''
      const read = (chunk: Buffer) => {
        output += String(chunk)
        if (READY.test(output)) resolve()
      }
      child.stdout!.on('data', read)
      child.stderr!.on('data', read)
      child.once('exit', () => reject(new Error(`redis-server ended at once:\n${output}`)))
      child.once('error', (err: NodeJS.ErrnoException) => reject(err.code === 'ENOENT' ? missing() : err))
    })
  }

  /** As a machine that loses power. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Hangs: connections stay open, nothing answers. */
  pause(): void {
    this.#child!.kill('SIGSTOP')
  }

  resume(): void {
    this.#child!.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Asks it something beside all clients; the answer as text. */
  async cli(...args: string[]): Promise<string> {
    return (await run('redis-cli', ['-p', String(this.port), ...args])).stdout.trim()
  }

  /** How often each command ran since the last `resetCounts`, lower case; commands inside scripts count too. */
  async counts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const [, name, calls] of (await this.cli('info', 'commandstats')).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
      counts[name!] = Number(calls)
    }
    return counts
  }

  async resetCounts(): Promise<void> {
    await this.cli('config', 'resetstat')
  }
}

/** Three masters that share the slots. */
export async function startCluster(): Promise<RedisServer[]> {
  const nodes = await Promise.all(
    [0, 1, 2].map(async () => {
      const bus = await freePort()
      return RedisServer.start([
        '--cluster-enabled',
        'yes',
        '--cluster-port',
        String(bus),
        '--cluster-node-timeout',
        '2000'
      ])
    })
  )
  const slots = [0, 5461, 10923, 16384]
  await Promise.all(
    nodes.map((node, i) => node.cli('cluster', 'addslotsrange', String(slots[i]), String(slots[i + 1]! - 1)))
  )
  const [first, ...others] = nodes as [RedisServer, ...RedisServer[]]
  const bus = (await first.cli('config', 'get', 'cluster-port')).split('\n')[1]!
  for (const node of others) await node.cli('cluster', 'meet', '127.0.0.1', String(first.port), bus)
  const joined = async () => (await Promise.all(nodes.map((node) => node.cli('cluster', 'info')))).every(isWhole)
  await until(joined, 'the cluster is whole')
  return nodes
}

function isWhole(info: string): boolean {
  return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3') && info.includes('slots_ok:16384')
}

/** A master (named `main`), a replica, and a sentinel that watches them. */
export async function startSentinel(): Promise<{ master: RedisServer; replica: RedisServer; sentinel: RedisServer }> {
  const master = await RedisServer.start(['--repl-diskless-sync-delay', '0'])
  const replica = await RedisServer.start(['--replicaof', '127.0.0.1', String(master.port)])
  await until(
    async () => (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    'the replica is in step'
  )
  const sentinel = await RedisServer.startSentinel(master.port)
  const known = async () => (await sentinel.cli('sentinel', 'replicas', 'main')).includes(String(replica.port))
  await until(known, 'the sentinel knows the replica')
  return { master, replica, sentinel }
}

function missing(): Error {
  return new Error('These tests start real Redis servers: install them with `apt-get install redis-server`')
}
