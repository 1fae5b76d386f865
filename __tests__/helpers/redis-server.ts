import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const READY = /Ready to accept connections|Sentinel ID is/
const children = new Set<ChildProcess>()

process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/** The calls of each command in the text of INFO commandstats. */
export function countsIn(info: string): Record<string, number> {
  const calls = [...info.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)]
  return Object.fromEntries(calls.map(([, name, count]) => [name, Number(count)]))
}

const handedOut = new Set<number>()
/** Test files run at once take their ports from ranges of their own. */
const SHARE = 2000
const FIRST = 10_000 + (Number(process.env['JEST_WORKER_ID'] ?? 0) % 5) * SHARE
/** Nodes of a cluster talk to each other on a second port, so much above the first. */
const BUS = 10_000

/**
 * A port that was free a moment ago, with the one for a cluster. Both lie below those that systems give out by
 * themselves, or else the client of any other test could have one before the server that it is meant for.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(SHARE)
    const ports = [port, port + BUS]
    if (ports.some((each) => handedOut.has(each)) || !(await isFree(port)) || !(await isFree(port + BUS))) continue
    for (const each of ports) handedOut.add(each)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Stops a process, and waits until each of its threads stands: the signal alone only says that they are to. */
export function freeze(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  const tasks = `/proc/${pid}/task`
  const runs = (task: string) => !/\) [TtZ] /.test(readFileSync(`${tasks}/${task}/stat`, 'utf8'))
  while (existsSync(tasks) && readdirSync(tasks).some(runs));
}

/** Waits until `check` holds, asking again and again; for what announces itself by no event. */
export async function until(check: () => unknown, what: string, within = 60_000): Promise<void> {
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
    for (;;) {
      const at = port ?? (await freePort())
      const folder = await mkdtemp(join(tmpdir(), 'redis-'))
      const common = ['--port', String(at), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
      // A master waits 5 s before it sends its data to a replica, in case another one comes.
      const server = new RedisServer(at, folder, [...common, '--repl-diskless-sync-delay', '0', ...flags])
      try {
        await server.restart()
        return server
      } catch (err) {
        await server.stop()
        // Somebody was faster: it was free a moment ago.
        if (port !== undefined || !/in use/.test(String(err))) throw err
      }
    }
  }

  static async startSentinel(masterPort: number): Promise<RedisServer> {
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'redis-'))
    const config = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor main 127.0.0.1 ${masterPort} 1`,
      'sentinel failover-timeout main 3000'
    ]
    const file = join(folder, 'sentinel.conf')
    await writeFile(file, config.join('\n') + '\n')
    const server = new RedisServer(port, folder, [file, '--sentinel'])
    await server.restart()
    return server
  }

  get isSentinel(): boolean {
    return this.#args.includes('--sentinel')
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
      // Not 'exit', which comes before all that it has said.
      child.once('close', (code, signal) => {
        reject(new Error(`redis-server ended at once (${signal ?? code}):\n${output}`))
      })
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
    freeze(this.#child!.pid!)
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
    return countsIn(await this.cli('info', 'commandstats'))
  }

  /** Whether its SET compares (IFEQ), whatever version it says it has. */
  async compares(): Promise<boolean> {
    return (await this.cli('command', 'docs', 'set')).includes('IFEQ')
  }

  async resetCounts(): Promise<void> {
    await this.cli('config', 'resetstat')
  }
}

/** The ACL rules that docs/stores.md gives, each with what it is for. */
export const ACL = {
  keys: ['~sess:*', '~silverback:user:*', '~silverback:lock:*'],
  sessions: ['+get', '+mget', '+set', '+del', '+expire', '+pexpire', '+evalsha', '+eval'],
  users: ['+zadd', '+zrange', '+zrangebyscore', '+zrem', '+zremrangebyscore', '+zscore', '+persist'],
  listing: ['+scan'],
  wait: ['+wait'],
  cache: ['+client|tracking'],
  connecting: ['+hello', '+auth', '+info'],
  cluster: ['+cluster|slots', '+cluster|info', '+asking']
}

/** Three masters that share the slots. */
export async function startCluster(): Promise<RedisServer[]> {
  const nodes = await Promise.all([0, 1, 2].map(startNode))
  const slots = [0, 5461, 10923, 16384]
  await Promise.all(
    nodes.map((node, i) => node.cli('cluster', 'addslotsrange', String(slots[i]), String(slots[i + 1]! - 1)))
  )
  await meet(nodes[0]!, nodes.slice(1))
  await until(
    async () => (await Promise.all(nodes.map((node) => knows(node, 3)))).every(Boolean),
    'the cluster is whole'
  )
  await failLate(nodes)
  return nodes
}

/** A replica for each of the masters, in the same order. */
export async function startReplicas(masters: RedisServer[]): Promise<RedisServer[]> {
  const replicas = await Promise.all(masters.map(startNode))
  await meet(masters[0]!, replicas)
  const nodes = [...masters, ...replicas]
  const known = async () => (await Promise.all(nodes.map((node) => knows(node, nodes.length)))).every(Boolean)
  await until(known, 'the cluster knows the replicas')
  await Promise.all(
    replicas.map(async (replica, i) => replica.cli('cluster', 'replicate', await masters[i]!.cli('cluster', 'myid')))
  )
  await Promise.all(replicas.map(linked))
  // A replica that its cluster has not heard of would not be voted for.
  const listed = async (node: RedisServer) => (await node.cli('cluster', 'nodes')).match(/ (?:myself,)?slave /g)?.length
  const settled = async () => (await Promise.all(nodes.map(listed))).every((count) => count === replicas.length)
  await until(settled, 'everybody knows who replicates whom')
  await failLate(replicas)
  return replicas
}

async function startNode(): Promise<RedisServer> {
  const bus = String(await freePort())
  // Short, for then they also hear of each other soon.
  const cluster = ['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-node-timeout', '2000']
  return RedisServer.start(cluster)
}

async function meet(first: RedisServer, others: RedisServer[]): Promise<void> {
  const bus = (await first.cli('config', 'get', 'cluster-port')).split('\n')[1]!
  for (const node of others) await node.cli('cluster', 'meet', '127.0.0.1', String(first.port), bus)
}

async function knows(node: RedisServer, count: number): Promise<boolean> {
  const info = await node.cli('cluster', 'info')
  return ['cluster_state:ok', `cluster_known_nodes:${count}`, 'slots_ok:16384'].every((part) => info.includes(part))
}

function linked(replica: RedisServer): Promise<void> {
  const up = async () => (await replica.cli('info', 'replication')).includes('master_link_status:up')
  return until(up, 'the replica is in step')
}

/**
 * Waits until a replica has all that its master has.
 *
 * Replication is asynchronous: what a master acknowledged in the last moments before it died may be lost, a logout too.
 */
export async function inStep(master: RedisServer, replica: RedisServer): Promise<void> {
  const offset = async (server: RedisServer, name: string) =>
    new RegExp(`${name}:(\\d+)`).exec(await server.cli('info', 'replication'))?.[1]
  await linked(replica)
  const same = async () => (await offset(master, 'master_repl_offset')) === (await offset(replica, 'slave_repl_offset'))
  await until(same, 'the replica has it all')
}

/** Nodes of a cluster that stand still with the machine are not dead, from now on. */
export async function failLate(nodes: RedisServer[]): Promise<void> {
  for (const node of nodes) await node.cli('config', 'set', 'cluster-node-timeout', '60000')
}

/** From now on nodes of a cluster, or a sentinel, wait no longer than a test can for a server that is silent. */
export async function failSoon(watchers: RedisServer[]): Promise<void> {
  for (const watcher of watchers) {
    if (watcher.isSentinel) await watcher.cli('sentinel', 'set', 'main', 'down-after-milliseconds', '500')
    else await watcher.cli('config', 'set', 'cluster-node-timeout', '2000')
  }
}

/** A master (named `main`), a replica, and a sentinel that watches them. */
export async function startSentinel(): Promise<{ master: RedisServer; replica: RedisServer; sentinel: RedisServer }> {
  const master = await RedisServer.start()
  const replica = await RedisServer.start(['--replicaof', '127.0.0.1', String(master.port)])
  await linked(replica)
  const sentinel = await RedisServer.startSentinel(master.port)
  const known = async () => (await sentinel.cli('sentinel', 'replicas', 'main')).includes(String(replica.port))
  await until(known, 'the sentinel knows the replica')
  return { master, replica, sentinel }
}

function missing(): Error {
  return new Error('These tests start real Redis servers: install them with `apt-get install redis-server`')
}
