import request from 'supertest'
import session, { sessions } from '../../lib/index'
import { appWith, cookieOf, secret } from '../helpers/app'
import { NPM_STORES, type OpenStore } from '../helpers/npm-stores'
import { until } from '../helpers/redis-server'
import { ask } from '../helpers/store-contract'
import { HOUR } from '../helpers/times'

/** Stores that count in whole seconds, and round them down, can do no better. */
const SHORT = 3000

const TheirMemoryStore = require('express-session').MemoryStore
const { 'session-file-store': _goesByItsOwnTtl, ...known } = NPM_STORES
const openers: typeof NPM_STORES = {
  ...known,
  "express-session's MemoryStore": async () => ({
    store: new TheirMemoryStore(),
    spoil: () => undefined,
    close: async () => undefined
  })
}

const open: Record<string, OpenStore> = {}
const played: Record<string, Promise<void>> = {}

// All at once: what they wait for is the time.
beforeAll(async () => {
  const opening = Object.entries(openers).map(async ([name, opener]) => (open[name] = await opener()))
  await Promise.all(opening)
  for (const name of Object.keys(openers)) for (const door of Object.keys(DOORS)) begin(name, door)
})

afterAll(() => Promise.all(Object.values(open).map(({ close }) => close())))

function begin(name: string, door: string): void {
  const playing = play(open[name]!.store, DOORS[door]!)
  playing.catch(() => undefined)
  played[`${name} ${door}`] = playing
}

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.user = 'ann')),
  '/read': (req: any, res: any) => res.json([req.session.user ?? null, req.session.cookie.expires, req.sessionID])
}

const DOORS: Record<string, (options: object) => any> = {
  'sessions()': (options) => sessions({ secret, touchAfter: 0, ...options }),
  'the drop-in door': (options) =>
    session({ secret, name: 'sid', resave: false, saveUninitialized: false, ...options } as never)
}

describe.each(Object.keys(openers))('idle with a cookie that ends with the browser, on %s', (name) => {
  it.each(Object.keys(DOORS))('is what the store goes by (%s)', (door) => played[`${name} ${door}`])
})

async function play(store: any, door: (options: object) => any): Promise<void> {
  const behind = (idle: number) => appWith(door({ store, idle }), routes)
  const [brief, long] = [behind(SHORT), behind(HOUR)]
  const visit = (app: typeof long, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
  const login = async (app: typeof long) => cookieOf(await visit(app, '/login'))!
  const idOf = async (cookie: string) => (await visit(long, '/read', cookie)).body[2]

  const left = (await door({ store, idle: SHORT }).create({})).id
  const kept = await login(long)
  const extended = await alive(async () => {
    const cookie = await login(brief)
    await idOf(cookie)
    return cookie
  })
  await until(async () => !(await ask(store, 'get', left)), 'the session that nobody used is over')
  const { silverback_meta: meta } = await ask(store, 'get', await idOf(extended))
  expect(meta).toMatchObject({ c: expect.any(Number), u: expect.any(Number) })
  for (const cookie of [kept, extended]) {
    const res = await visit(long, '/read', cookie)
    expect(res.body.slice(0, 2)).toEqual(['ann', null])
    expect(String(res.headers['set-cookie'] ?? '')).not.toMatch(/Expires|Max-Age/)
  }
}

/** Only what was extended while it lived is to live on. */
async function alive(begin: () => Promise<string>): Promise<string> {
  for (;;) {
    const started = performance.now()
    const cookie = await begin()
    if (performance.now() - started < SHORT / 6) return cookie
  }
}

it('auth.extend() reaches a store that only knows the contract', async () => {
  const { store } = open['connect-redis']!
  const { id } = await sessions({ secret, store, idle: HOUR }).create({})
  const longer = sessions({ secret, store, idle: 2 * HOUR })
  expect(await longer.extend(id)).toBe(true)
  expect(await store.client.ttl(`sess:${id}`)).toBeGreaterThan(HOUR / 1000)
  expect(await longer.extend('unknown')).toBe(false)
})
