import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, freeze, until } from './redis-server'

/** A real server of one test file. */
export interface RunningServer {
  port: number
  stop(): Promise<void>
}

/** A memcached that may also stand still, as a machine that swaps. */
export interface Memcached extends RunningServer {
  pause(): void
  resume(): void
}

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** A memcached with nothing in it. */
export async function startMemcached(given: string[] = [], at?: number): Promise<Memcached> {
  const port = at ?? (await freePort())
  const flags = ['-p', String(port), '-l', '127.0.0.1', '-m', '16', ...(isRoot() ? ['-u', 'nobody'] : []), ...given]
  const child = launch('memcached', flags, 'memcached')
  await until(() => answers(port), 'memcached answers')
  return {
    port,
    stop: () => end(child),
    pause: () => freeze(child.pid!),
    resume: () => void child.kill('SIGCONT')
  }
}

/** A client of memcached as docs/stores.md sets it up. */
export function memcachedClient(port: number, options: object = {}): any {
  const habits = { timeout: 1000, retries: 5, minTimeout: 20, factor: 2, retry: 1000, failures: 1e9 }
  // Its timers keep a process alive.
  const forTests = { failuresTimeout: 100 }
  return new (require('memcached'))(`127.0.0.1:${port}`, { ...habits, ...forTests, ...options })
}

/** A server whose data outlives it. */
export interface Database extends RunningServer {
  /** As a machine that loses power. */
  kill(): Promise<void>
  restart(): Promise<void>
  /** Hangs: connections stay open, nothing answers. */
  pause(): void
  resume(): void
  /** Lets no file grow beyond so many bytes, until it is called without. A file that has reached them is a full disk. */
  limitFiles(bytes?: number): void
}

/** A PostgreSQL with an empty database, which refuses to run as root and so runs as its own user there. */
export async function startPostgres(): Promise<Database> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'postgres-'))
  const as = isRoot() ? userOf('postgres') : {}
  if (as.uid !== undefined) chownSync(folder, as.uid, as.gid!)
  const data = join(folder, 'data')
  try {
    const flags = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions']
    execFileSync('initdb', flags, { ...as, cwd: folder, stdio: 'pipe' })
  } catch (err) {
    throw (err as NodeJS.ErrnoException).code === 'ENOENT' ? missing('initdb', 'postgresql') : err
  }
  const flags = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F']
  const start = async () => {
    for (;;) {
      const child = launch('postgres', flags, 'postgresql', { ...as, cwd: folder })
      let said = ''
      child.stderr!.on('data', (chunk) => (said += String(chunk)))
      const ready = () => said.includes('ready to accept connections')
      await until(() => ready() || child.exitCode !== null, 'PostgreSQL is ready')
      if (ready()) return child
      // It gave up: the last one's processes are about to end, and still have its memory.
    }
  }
  return database(port, folder, start, as)
}

/** A MariaDB with an empty database `test`, which asks nobody for a password. `given`: more flags, for each start. */
export async function startMariadb(given: string[] = []): Promise<Database> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'mariadb-'))
  // It makes what it needs in an empty folder, but for the tables of its users.
  mkdirSync(join(folder, 'data', 'test'), { recursive: true })
  const place = [`--datadir=${join(folder, 'data')}`, `--socket=${join(folder, 'socket')}`, `--port=${port}`]
  const open = [
    '--bind-address=127.0.0.1',
    '--skip-grant-tables',
    '--skip-name-resolve',
    ...(isRoot() ? ['--user=root'] : [])
  ]
  const flags = [
    '--no-defaults',
    ...place,
    ...open,
    '--innodb-buffer-pool-size=64M',
    '--innodb-flush-log-at-trx-commit=2'
  ]
  try {
    // Only what has once been shut down survives a kill.
    execFileSync('mariadbd', [...flags, ...given, '--bootstrap'], { input: '', stdio: ['pipe', 'ignore', 'ignore'] })
  } catch (err) {
    throw (err as NodeJS.ErrnoException).code === 'ENOENT' ? missing('mariadbd', 'mariadb-server-core') : err
  }
  const start = async () => {
    const child = launch('mariadbd', [...flags, ...given], 'mariadb-server-core')
    let said = ''
    child.stderr!.on('data', (chunk) => (said += String(chunk)))
    await until(() => said.includes('ready for connections'), 'MariaDB is ready')
    return child
  }
  return database(port, folder, start)
}

async function database(
  port: number,
  folder: string,
  start: () => Promise<ChildProcess>,
  as: SpawnOptions = {}
): Promise<Database> {
  let child = await start()
  const processes = () => [child.pid!, ...childrenOf(child.pid!)]
  // A process of a connection that outlives its server goes on answering until it notices.
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const workers = childrenOf(child.pid!)
    await end(child)
    for (const pid of workers) unlessEnded(pid, () => process.kill(pid, 'SIGKILL'))
    await until(() => !workers.some(isRunning), 'all of its processes have ended')
  }
  return {
    port,
    kill,
    async restart() {
      await kill()
      child = await start()
    },
    pause: () => processes().forEach((pid) => unlessEnded(pid, () => freeze(pid))),
    resume: () => processes().forEach((pid) => unlessEnded(pid, () => process.kill(pid, 'SIGCONT'))),
    limitFiles(bytes) {
      const limit = `--fsize=${bytes ?? 'unlimited'}:`
      // Not even root may, in a container, unless as the user whose process it is.
      const options = { uid: as.uid, gid: as.gid, stdio: 'pipe' } as const
      for (const pid of processes()) {
        unlessEnded(pid, () => execFileSync('prlimit', ['--pid', String(pid), limit], options))
      }
    },
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

// Those of PostgreSQL come and go.
function unlessEnded(pid: number, work: () => unknown): void {
  try {
    work()
  } catch (err) {
    if (isRunning(pid)) throw err
  }
}

// What has ended, and that nobody has asked for, does not count.
function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

// PostgreSQL has a process for each connection, which is no member of its group.
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function launch(command: string, flags: string[], pack: string, options: SpawnOptions = {}): ChildProcess {
  const child = spawn(command, flags, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  child.once('error', () => {
    throw missing(command, pack)
  })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function userOf(name: string): { uid?: number; gid?: number } {
  const entry = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8'))
  if (entry === null) throw missing(name, 'postgresql')
  return { uid: Number(entry[1]), gid: Number(entry[2]) }
}

function missing(what: string, pack: string): Error {
  return new Error(`These tests start a real server and need ${what}: install it with \`apt-get install ${pack}\``)
}
