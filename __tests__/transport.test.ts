import request from 'supertest'
import { infoOf, MemoryStore, sessions } from '../lib/index'
import { appWith, secret } from './helpers/app'
import { basics, membership, read } from './helpers/basics'

describe('the option transport', () => {
  it('the header transport carries the same value and never sets a cookie', async () => {
    const app = appWith(sessions({ secret, transport: ['cookie', 'header'] }), basics)
    const res = await request(app).get('/write?user=u').set('X-Session', '')
    const token = res.headers['x-session']!
    expect(res.headers['set-cookie']).toBeUndefined()
    expect((await request(app).get('/read').set('X-Session', token)).body.data).toEqual({ user: 'u' })
    expect((await read(app, `sid=${token}`)).body.data).toEqual({ user: 'u' })
    expect((await request(app).get('/logout').set('X-Session', token)).headers['set-cookie']).toBeUndefined()
  })

  it.each(['header', { header: 'X-Auth' }] as const)(
    'the transport %j gives each named session a header of its own',
    async (transport) => {
      const prefix = transport === 'header' ? 'x-session' : 'x-auth'
      for (const transports of [transport, ['cookie', transport] as const]) {
        const app = appWith(sessions({ secret, transport: transports as never, named: { cart: {} } }), {
          ...basics,
          '/cart': async (req, res) => {
            const cart = await req.sessions.get('cart')
            cart.n = (cart.n ?? 0) + 1
            const other = await req.sessions.get('Other')
            res.json([
              cart.n,
              req.session.user ?? null,
              infoOf(cart).error?.code ?? null,
              infoOf(other).error?.code ?? null
            ])
          }
        })
        const main = await request(app).get('/write?user=u').set(prefix, '')
        const headers: Record<string, string> = { [prefix]: main.headers[prefix]! }
        for (let n = 1; n <= 3; n++) {
          const res = await request(app).get('/cart').set(headers)
          expect(res.body).toEqual([n, 'u', null, null])
          expect(res.headers['set-cookie']).toBeUndefined()
          expect(res.headers[prefix]).toBeUndefined()
          expect(res.headers.vary!.toLowerCase().split(', ')).toEqual(
            expect.arrayContaining([prefix, `${prefix}-cart`, `${prefix}-other`])
          )
          headers[`${prefix}-cart`] = res.headers[`${prefix}-cart`] ?? headers[`${prefix}-cart`]!
        }
      }
    }
  )
})

it('a header logs in only where headers are enabled', async () => {
  const store = new MemoryStore()
  const open = appWith(sessions({ secret, store, transport: ['cookie', 'header'] }), membership)
  const token = (await request(open).get('/login').set('X-Session', '')).headers['x-session']!
  const closed = appWith(sessions({ secret, store }), membership)
  expect((await request(open).get('/read').set('X-Session', token)).body).toBe('ann')
  expect((await request(closed).get('/read').set('X-Session', token)).body).toBeNull()
  expect((await request(closed).get('/read').set('Cookie', `sid=${token}`)).body).toBe('ann')
})
