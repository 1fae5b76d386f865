// Databases of the benchmark's own, one after the other, each with nothing in it, on a free port and in a folder that
// goes with it.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './redis-server.mjs'

const STARTS = { PostgreSQL: startPostgres, MariaDB: startMariadb, SQLite: (folder) => ({ url: `sqlite:${folder}` }) }
// So that they end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
const isRoot = process.getuid?.() === 0

/** `{ name, url }` of each; without `url` what is not installed. It is stopped before the next one starts. */
export async function* databases(wanted = Object.keys(STARTS)) {
  for (const name of wanted) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-'))
    const remove = () => rmSync(folder, { recursive: true, force: true })
    process.once('exit', remove)
    let running = {}
    try {
      running = await STARTS[name](folder)
    } catch (err) {
      if (err.code !== 'ENOENT') throw err
    }
    yield { name, url: running.url }
    if (running.child !== undefined) {
      running.child.kill('SIGKILL')
      await once(running.child, 'exit')
    }
    remove()
    process.removeListener('exit', remove)
  }
}

// It refuses to run as root.
async function startPostgres(folder) {
  const as = isRoot ? userOf('postgres') : {}
  if (isRoot) chownSync(folder, as.uid, as.gid)
  const data = join(folder, 'data')
  const flags = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions']
  execFileSync('initdb', flags, { ...as, cwd: folder, stdio: 'pipe' })
  const port = await freePort()
  const child = await started(
    'postgres',
    ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F'],
    { ...as, cwd: folder },
    'ready to accept connections'
  )
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, child }
}

async function startMariadb(folder) {
  mkdirSync(join(folder, 'data', 'test'), { recursive: true })
  const port = await freePort()
  const flags = [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    `--socket=${join(folder, 'socket')}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--skip-grant-tables',
    '--skip-name-resolve',
    '--innodb-flush-log-at-trx-commit=2',
    // It keeps pages itself, where PostgreSQL has the system's cache as well.
    '--innodb-buffer-pool-size=1G',
    ...(isRoot ? ['--user=root'] : [])
  ]
  const child = await started('mariadbd', flags, { cwd: folder }, 'ready for connections')
  return { url: `mysql://root@127.0.0.1:${port}/test`, child }
}

function userOf(name) {
  const entry = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8'))
  if (entry === null) throw Object.assign(new Error(`There is no user ${name}`), { code: 'ENOENT' })
  return { uid: Number(entry[1]), gid: Number(entry[2]) }
}

function started(command, flags, options, sign) {
  const child = spawn(command, flags, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))
  return new Promise((resolve, reject) => {
    let said = ''
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}: ${said}`)))
    child.stderr.on('data', (chunk) => {
      said = (said + String(chunk)).slice(-10_000)
      if (said.includes(sign)) resolve(child)
    })
  })
}
