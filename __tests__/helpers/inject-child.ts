/** Asks an application by light-my-request, in a process of its own (see child.ts). */
import { promisify } from 'node:util'
import express from 'express'
import session, { MemoryStore, sessions } from '../../lib/index'

const inject = require('light-my-request')
const secret = 'a secret for tests, thirty-two bytes or more'

/** Two visits of one client: status, body and cookie of each. */
export async function visits(door: string, kind: string): Promise<unknown[]> {
  const store = new MemoryStore()
  if (kind === 'later') {
    const set = promisify(store.set.bind(store) as (id: string, data: object, done: () => void) => void)
    store.set = ((id: string, data: object) => new Promise(setImmediate).then(() => set(id, data))) as never
  }
  const options = { secret, store, resave: false, saveUninitialized: false }
  const app = express().use((door === 'sessions' ? sessions(options) : session(options)) as express.RequestHandler)
  app.get('/', (req: any, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.send(`visit ${req.session.visits}`)
  })
  const answers = []
  let cookie = ''
  for (let i = 0; i < 2; i++) {
    const answer = await inject(app, { method: 'GET', url: '/', headers: { cookie } })
    cookie = [answer.headers['set-cookie'] ?? cookie].flat()[0].split(';')[0]
    answers.push([answer.statusCode, answer.body, cookie])
  }
  return answers
}
