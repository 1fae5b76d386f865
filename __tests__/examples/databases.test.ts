import request from 'supertest'
import { startMariadb, startPostgres, type Database } from '../helpers/servers'

const names = ['SESSION_SECRET', 'DATABASE_URL'] as const
const before = names.map((name) => process.env[name])

afterAll(() => {
  names.forEach((name, i) => {
    if (before[i] === undefined) delete process.env[name]
    else process.env[name] = before[i]
  })
})

describe.each([
  ['postgres', startPostgres, (port: number) => `postgres://postgres@127.0.0.1:${port}/postgres`],
  ['mysql', startMariadb, (port: number) => `mysql://root@127.0.0.1:${port}/test`]
])('%s', (name, start, urlAt) => {
  let server: Database
  let example: any

  beforeAll(async () => {
    server = await start()
    process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'
    process.env.DATABASE_URL = urlAt(server.port)
    example = require(`../../examples/${name}`)
  })

  afterAll(async () => {
    await example?.store.close()
    await example?.pool.end()
    await server?.stop()
  })

  it('counts, in a table that it makes by itself', async () => {
    const { app, store } = example
    const agent = request.agent(app)
    expect((await agent.get('/')).body).toEqual({ views: 1 })
    expect((await agent.get('/')).body).toEqual({ views: 2 })
    expect((await request(app).get('/')).body).toEqual({ views: 1 })
    const records = Object.values<any>(await store.all())
    expect(records.map(({ views }) => views).sort()).toEqual([1, 2])
  })
})
