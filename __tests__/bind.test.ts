import request from 'supertest'
import { CookieStore, MemoryStore, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { openToAgents } from './helpers/agents'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, read } from './helpers/basics'

const REFUSED = { code: 'ERR_SESSION_BINDING' }

describe('the option bind', () => {
  const BINDINGS: Record<string, (req: any) => string> = {
    'req.get()': (req) => req.get('user-agent'),
    'req.headers': (req) => req.headers['user-agent'].toLowerCase(),
    'req.ip': (req) => req.ip + req.get('user-agent'),
    'req.socket': (req) => req.socket.remoteAddress.trim() + req.get('user-agent')
  }

  it.each(Object.keys(BINDINGS))(
    'by %s leaves a session without a request unbound until it is written',
    async (name) => {
      for (const store of [new MemoryStore(), new CookieStore()]) {
        const { auth, visit } = openToAgents({ store, bind: BINDINGS[name] })
        expect((await auth.create({ user: 'ann' })).data).toEqual({ user: 'ann' })
        const cookie = await sessionCookie(auth, { user: 'ann' })
        expect((await visit('/read', cookie, 'Firefox')).body).toEqual({ user: 'ann' })
        expect((await visit('/read', cookie, 'curl')).body).toEqual({ user: 'ann' })
        const used = await visit('/write', cookie, 'Firefox')
        expect(used.body).toEqual({ visits: 1 })
        expect((await visit('/read', used.cookie, 'Firefox')).body).toEqual({ user: 'ann' })
        expect((await visit('/read', used.cookie, 'curl')).body).toEqual(REFUSED)
      }
    }
  )

  it('takes a request without the header for one with an empty one', async () => {
    const { visit } = openToAgents({ bind: (req) => req.get('user-agent') })
    const nameless = await visit('/write')
    expect(nameless.status).toBe(200)
    expect((await visit('/read', nameless.cookie)).body).toEqual({ user: 'bob' })
    expect((await visit('/read', nameless.cookie, 'curl')).body).toEqual(REFUSED)
    const named = await visit('/write', undefined, 'Firefox')
    expect((await visit('/read', named.cookie)).body).toEqual(REFUSED)
  })

  it.each([7, {}, Promise.resolve('x')])(
    'that answers %p is the application fault, not that of the store',
    async (answer) => {
      let answers: any = 'a string'
      const { visit } = openToAgents({ bind: () => answers })
      const { cookie } = await visit('/write')
      answers = answer
      for (const sent of [undefined, cookie]) {
        const { status, body } = await visit('/write', sent)
        expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
        expect(body.message).toMatch(/bind must (return a string|answer at once)/)
      }
      answers = 'a string'
      expect((await visit('/read', cookie)).body).toEqual({ user: 'bob' })
    }
  )
})

it('bind refuses a session used from elsewhere', async () => {
  const app = appWith(sessions({ secret, bind: (req) => req.headers['user-agent'] }), basics)
  const cookie = cookieOf(await request(app).get('/write?user=u').set('User-Agent', 'a'))!
  expect((await read(app, cookie).set('User-Agent', 'a')).body.data).toEqual({ user: 'u' })
  expect((await read(app, cookie).set('User-Agent', 'b')).body.code).toBe('ERR_SESSION_BINDING')
})
