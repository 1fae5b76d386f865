import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import request from 'supertest'
import { cookieOf, secret } from './helpers/app'
import { Child } from './helpers/child'
import { RedisServer, until } from './helpers/redis-server'

describe.each(['Redis', 'files'])('two processes on one session (%s)', (kind) => {
  let server: RedisServer | undefined
  let folder: string | undefined
  let first: ReturnType<typeof request>
  let second: ReturnType<typeof request>
  let cookie: string

  const get = (app: typeof first, url: string) => app.get(url).set('Cookie', cookie)

  beforeAll(async () => {
    if (kind === 'Redis') server = await RedisServer.start()
    else folder = mkdtempSync(path.join(tmpdir(), 'silverback-processes-'))
    const place = server === undefined ? folder! : `redis://127.0.0.1:${server.port}`
    const children = await Promise.all([Child.start('app-child'), Child.start('app-child')])
    const ports = await Promise.all(children.map((child) => child.call('start', place, secret)))
    first = request(`http://127.0.0.1:${ports[0]}`)
    second = request(`http://127.0.0.1:${ports[1]}`)
  }, 60_000)

  afterAll(async () => {
    await server?.stop()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  beforeEach(async () => {
    cookie = cookieOf(await first.get('/set?user=u'))!
  })

  it('50 parallel requests set 50 keys, and 50 keys remain', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => get(i % 2 ? first : second, `/set?key${i}=${i}`)))
    const { data } = (await get(first, '/read')).body
    expect(Object.keys(data).filter((key) => key.startsWith('key'))).toHaveLength(50)
  })

  it('200 concurrent updates give exactly 200', async () => {
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => get(i % 2 ? first : second, '/count')))
    expect(results.filter(({ status }) => status !== 200)).toEqual([])
    expect((await get(second, '/read')).body.data.n).toBe(200)
  })

  it('H1 a slow writer in one cannot bring back what the other has logged out', async () => {
    const slow = get(first, '/hold').then((res) => res)
    await until(async () => (await first.get('/holding')).body, 'the slow request holds its session')
    await get(second, '/logout')
    await first.get('/release')
    const res = await slow
    expect([res.status, res.headers['set-cookie']]).toEqual([200, undefined])
    expect((await get(second, '/read')).body.code).toBe('ERR_SESSION_MISSING')
  })
})
