import request from 'supertest'
import { startPostgres, type RunningServer } from '../helpers/servers'

const names = ['SESSION_SECRET', 'DATABASE_URL'] as const
const before = names.map((name) => process.env[name])

let server: RunningServer
let example: any

beforeAll(async () => {
  server = await startPostgres()
  process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'
  process.env.DATABASE_URL = `postgres://postgres@127.0.0.1:${server.port}/postgres`
  example = require('../../examples/postgres')
}, 60_000)

afterAll(async () => {
  await example?.store.close()
  await example?.pool.end()
  await server?.stop()
  names.forEach((name, i) => {
    if (before[i] === undefined) delete process.env[name]
    else process.env[name] = before[i]
  })
})

it('postgres counts, in a table that it makes by itself', async () => {
  const { app, pool } = example
  const agent = request.agent(app)
  expect((await agent.get('/')).body).toEqual({ views: 1 })
  expect((await agent.get('/')).body).toEqual({ views: 2 })
  expect((await request(app).get('/')).body).toEqual({ views: 1 })
  const { rows } = await pool.query('SELECT sess FROM session')
  expect(rows.map(({ sess }: any) => sess.views).sort()).toEqual([1, 2])
})
