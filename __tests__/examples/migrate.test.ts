import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { resolve } from 'node:path'
import request from 'supertest'

const expressSession = require('express-session')

const FOLDER = resolve(__dirname, '../../examples/migrate')
const servers: Server[] = []

async function serve(file: string, store?: unknown): Promise<Server> {
  const { createApp } = require(resolve(FOLDER, file))
  const server = createServer(createApp(store)).listen(0)
  await once(server, 'listening')
  servers.push(server)
  return server
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** What a client can tell apart: status, body, and the shape of each cookie without its random part and its clock. */
async function visit(server: Server): Promise<unknown[]> {
  const agent = request.agent(server)
  const answers = [
    await agent.get('/'),
    await agent.get('/'),
    await agent.post('/login').send({ user: 'ada' }),
    await agent.get('/'),
    await agent.post('/logout'),
    await agent.get('/')
  ]
  return answers.map(({ status, body, headers }) => {
    const cookies = [headers['set-cookie'] ?? []].flat()
    const shapes = cookies.map((text) =>
      text
        .replace(/^connect\.sid=s%3A[\w-]{32}\.[^;]{43,}/, 'connect.sid=<signed>')
        .replace(/Expires=.*?GMT/, 'Expires')
    )
    return { status, body, shapes }
  })
}

describe('migrate example', () => {
  it('differs by the line that requires the package, and by nothing else', () => {
    const [before, after] = ['before.js', 'after.js'].map((file) =>
      readFileSync(resolve(FOLDER, file), 'utf8').split('\n')
    ) as [string[], string[]]
    expect(after).toHaveLength(before.length)
    const changed = before.flatMap((line, i) => (line === after[i] ? [] : [[line, after[i]]]))
    expect(changed).toEqual([["const session = require('express-session')", "const session = require('silverback')"]])
  })

  it('answers the same before and after', async () => {
    const before = await visit(await serve('before.js'))
    expect(await visit(await serve('after.js'))).toEqual(before)
    expect(before[3]).toMatchObject({ status: 200, body: { user: 'ada', views: 1 } })
  })

  it('keeps everybody signed in, in both directions, over one store', async () => {
    // Two instances over the same records, as two processes have them: a store belongs to one middleware.
    const [one, two] = [new expressSession.MemoryStore(), new expressSession.MemoryStore()]
    two.sessions = one.sessions
    const [before, after] = [await serve('before.js', one), await serve('after.js', two)]
    for (const [first, second] of [
      [before, after],
      [after, before]
    ] as const) {
      const answer = await request(first).post('/login').send({ user: 'ada' })
      const cookie = [answer.headers['set-cookie'] ?? []].flat()[0]!.split(';')[0]!
      const seen = await request(second).get('/').set('Cookie', cookie)
      expect(seen.body).toEqual({ user: 'ada', views: 1 })
      await request(second).post('/logout').set('Cookie', cookie)
      expect((await request(first).get('/').set('Cookie', cookie)).body).toEqual({ user: null, views: 1 })
    }
  })
})
