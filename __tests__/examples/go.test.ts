import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { TestFolder } from '../helpers/folder'
import { freePort, RedisServer, until } from '../helpers/redis-server'

const EXAMPLE = path.join(__dirname, '../../examples/go')
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)

let redis: RedisServer
let express: Server
let client: any
let base: string
const folder = new TestFolder()
const children: ChildProcess[] = []

beforeAll(async () => {
  redis = await RedisServer.start()
  const [front, go, node] = await Promise.all([freePort(), freePort(), freePort()])
  base = `http://127.0.0.1:${front}`
  Object.assign(process.env, {
    REDIS_ADDR: `127.0.0.1:${redis.port}`,
    HASH_KEY: 'h'.repeat(32),
    BLOCK_KEY: 'b'.repeat(32),
    SESSION_SECRET: 's'.repeat(40),
    GO_ADDR: `127.0.0.1:${go}`
  })
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
  execFileSync('go', ['build', '-o', folder.at('shop'), 'main.go'], { cwd: EXAMPLE, env, stdio: 'pipe' })
  children.push(spawn(folder.at('shop'), { env, stdio: 'ignore' }))
  const example = require('../../examples/go/app.js')
  client = example.client
  await client.connect()
  express = example.app.listen(node, '127.0.0.1')
  await once(express, 'listening')
  const conf = readFileSync(path.join(EXAMPLE, 'nginx.conf'), 'utf8')
    .replace('8080', String(front))
    .replace('8081', String(go))
    .replace('8082', String(node))
    .replace('access_log off;', `access_log off; ${TEMPORARY.join(' ')}`)
  writeFileSync(folder.at('nginx.conf'), conf)
  children.push(spawn('nginx', ['-p', folder.path, '-c', folder.at('nginx.conf')], { stdio: 'ignore' }))
  await until(() => answers(front), 'nginx answers')
  await until(() => answers(go), 'Go answers')
})

afterAll(async () => {
  express?.close()
  client?.destroy()
  for (const child of children) {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  await redis?.stop()
  folder.remove()
})

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve((socket.destroy(), true)))
    socket.once('error', () => resolve(false))
  })
}

/** A browser with one cookie, sent back as it came. */
class Visitor {
  cookie = ''

  async ask(path: string, form?: Record<string, string>): Promise<unknown> {
    const init = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
    const res = await fetch(base + path, { ...init, headers: { cookie: this.cookie } })
    for (const line of res.headers.getSetCookie()) this.cookie = line.split(';')[0]!
    expect(res.status).toBe(200)
    return res.json()
  }
}

it.each([
  ['Go', '/go/login', '/cart', '/go/cart'],
  ['Express', '/login', '/go/cart', '/cart']
])('shares a login of %s, and one cart', async (_side, login, cart, other) => {
  const visitor = new Visitor()
  await visitor.ask(other, { item: 'apple' })
  const before = visitor.cookie
  expect(await visitor.ask(login, { user: 'ann' })).toEqual({ user: 'ann', cart: { apple: 1 } })
  expect(visitor.cookie).not.toBe(before)
  await visitor.ask(cart, { item: 'pear' })
  await visitor.ask(other, { item: 'pear' })
  const both = { user: 'ann', cart: { apple: 1, pear: 2 } }
  expect([await visitor.ask('/me'), await visitor.ask('/go/me')]).toEqual([both, both])
})

it.each([
  ['Go', '/go/logout'],
  ['Express', '/logout']
])('ends on both sides with a logout from %s', async (_side, logout) => {
  const visitor = new Visitor()
  await visitor.ask('/login', { user: 'ann' })
  await visitor.ask('/go/cart', { item: 'pear' })
  const { cookie } = visitor
  await visitor.ask(logout, {})
  const nobody = { user: null, cart: null }
  expect([await visitor.ask('/me'), await visitor.ask('/go/me')]).toEqual([nobody, nobody])
  visitor.cookie = cookie
  expect([await visitor.ask('/go/me'), await visitor.ask('/me')]).toEqual([nobody, nobody])
})
