// A Redis server of the benchmark's own, on a free port, with nothing on disk.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Its port, its version ("Redis 7.0.15") and how to stop it; `undefined` when Redis is not installed. */
export async function startRedis() {
  const port = await freePort()
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', tmpdir(), '--save', '', '--appendonly', 'no']
  const child = spawn('redis-server', flags, {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const stop = () => child.kill()
  process.once('exit', stop)
  return new Promise((resolve, reject) => {
    child.once('error', (err) => (err.code === 'ENOENT' ? resolve(undefined) : reject(err)))
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)))
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
      if (!said.includes('Ready to accept connections')) return
      const [, name, number] = /(Redis|Valkey) version=([\d.]+)/i.exec(said)
      resolve({ port, version: `${name} ${number}`, stop })
    })
  })
}
