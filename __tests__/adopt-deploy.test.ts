import './helpers/quiet'
import request from 'supertest'
import session, { FileStore, MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { TestFolder } from './helpers/folder'

// A rolling deploy: for a while instances of two releases answer the same browsers, over one store.

const NAME = 'connect.sid'
const expressSession = require('express-session')

const routes: Record<string, (req: any, res: any) => unknown> = {
  '/in': (req, res) => {
    req.session.user = 'ann'
    req.session.visits = 0
    res.json('in')
  },
  '/read': (req, res) => res.json(req.session.user ?? null),
  '/write': (req, res) => {
    if (req.session.user !== undefined) req.session.visits++
    res.json(req.session.user ?? null)
  },
  '/visits': (req, res) => res.json(req.session.visits ?? null),
  '/rotate': (req, res) => {
    const { user, visits } = req.session
    req.session.regenerate(() => {
      if (user !== undefined) Object.assign(req.session, { user, visits })
      res.json(user ?? null)
    })
  },
  '/out': (req, res) => req.session.destroy(() => res.json('out'))
}

type Release = (options: object) => any
const classic = { secret, resave: false, saveUninitialized: false }

const RELEASES = {
  'express-session': (options) => expressSession({ ...classic, ...options }),
  'the default export': (options) => session({ ...classic, ...options }),
  'reissue: false': (options) =>
    sessions({ secret, name: NAME, adopt: { from: 'express-session', reissue: false }, ...options }),
  adopt: (options) => sessions({ secret, name: NAME, adopt: 'express-session', ...options }),
  'sessions()': (options) => sessions({ secret, name: NAME, ...options }),
  // The way back: cookies return to express-session's form as they are seen.
  'reissue: false, rolling': (options) => RELEASES['reissue: false']({ rolling: true, ...options }),
  'the default export, rolling': (options) => session({ ...classic, rolling: true, ...options })
} satisfies Record<string, Release>

type Name = keyof typeof RELEASES

/** The steps of docs/from-express-session.md: at each, the release that goes and the one that comes answer side by side. */
const FORTH: Name[] = ['express-session', 'the default export', 'reissue: false', 'adopt', 'sessions()']
const BACK: Name[] = [
  'sessions()',
  'adopt',
  'reissue: false, rolling',
  'the default export, rolling',
  'express-session'
]

const pairs = (steps: Name[]): [Name, Name][] => steps.slice(1).map((next, at) => [steps[at]!, next])

const isBound = (cookie: string) => !cookie.startsWith(`${NAME}=s%3A`)

function browser(first = '') {
  let cookie = first
  return {
    get cookie() {
      return cookie
    },
    async get(app: any, path: string) {
      const res = await request(app).get(path).set('Cookie', cookie)
      cookie = cookieOf(res, NAME) ?? cookie
      return res.body
    }
  }
}

type Browser = ReturnType<typeof browser>

const STORES: Record<string, () => { store: any; close(): Promise<void> | void }> = {
  MemoryStore: () => {
    const store = new MemoryStore()
    return { store, close: () => store.close() }
  },
  FileStore: () => {
    const folder = new TestFolder()
    const store = new FileStore({ path: folder.path })
    return { store, close: () => store.close().then(() => folder.remove()) }
  },
  "express-session's own MemoryStore": () => ({ store: new expressSession.MemoryStore(), close: () => undefined })
}

describe.each(Object.entries(STORES))('over %s,', (_name, open) => {
  const { store, close } = open()
  store.setMaxListeners?.(100)
  afterAll(() => close())
  const apps = Object.fromEntries(
    Object.entries(RELEASES).map(([name, release]) => [name, appWith(release({ store, touchAfter: 0 }), routes)])
  )

  /** Every way round two releases, reading, writing and with new IDs. */
  async function goRound(visitor: Browser, [old, next]: [Name, Name]) {
    const seen: unknown[] = []
    const order: Name[] = [old, next, old, old, next, next, old, next]
    for (const name of order) {
      for (const path of ['/read', '/write', '/read']) seen.push([name, path, await visitor.get(apps[name], path)])
    }
    for (const name of [next, old, next]) seen.push([name, '/rotate', await visitor.get(apps[name], '/rotate')])
    seen.push(
      [old, '/read', await visitor.get(apps[old], '/read')],
      [next, '/read', await visitor.get(apps[next], '/read')]
    )
    return seen.filter(([, , user]: any) => user !== 'ann')
  }

  it.each([...pairs(FORTH), ['express-session', 'reissue: false'] as [Name, Name]])(
    'nobody is logged out while %s and %s answer side by side',
    async (old, next) => {
      for (const first of [old, next]) {
        const visitor = browser()
        await visitor.get(apps[first], '/in')
        expect(await goRound(visitor, [old, next])).toEqual([])
        expect(await visitor.get(apps[old], '/visits')).toBe(8)
        await visitor.get(apps[old], '/out')
        expect(await visitor.get(apps[next], '/read')).toBeNull()
      }
    }
  )

  it.each(pairs(BACK))('nor on the way back, from %s to %s', async (old, next) => {
    // All that is left is of the release that goes: the one before has moved its cookies.
    const visitor = browser()
    await visitor.get(apps[old], '/in')
    expect(await goRound(visitor, [old, next])).toEqual([])
  })

  it('one browser goes all the way, and back', async () => {
    const visitor = browser()
    await visitor.get(apps['express-session'], '/in')
    for (const pair of [...pairs(FORTH), ...pairs(BACK)]) {
      for (const name of [...pair, ...pair])
        expect([pair, await visitor.get(apps[name], '/write')]).toEqual([pair, 'ann'])
    }
    expect(isBound(visitor.cookie)).toBe(false)
    expect(await visitor.get(apps['express-session'], '/visits')).toBe(32)
  })

  it('all but express-session and sessions() themselves answer side by side', async () => {
    const middle: Name[] = ['the default export', 'reissue: false', 'adopt']
    const visitor = browser()
    await visitor.get(apps[middle[0]!], '/in')
    for (let i = 0; i < 27; i++) {
      const name = middle[(i * i + (i >> 2)) % 3]!
      expect([name, await visitor.get(apps[name], i % 2 === 0 ? '/write' : '/read')]).toEqual([name, 'ann'])
    }
  })

  it.each<[Name, boolean]>([
    ['express-session', false],
    ['the default export', false],
    ['reissue: false', false],
    ['adopt', true],
    ['sessions()', true]
  ])('%s begins sessions with a bound cookie: %p', async (name, bound) => {
    const visitor = browser()
    await visitor.get(apps[name], '/in')
    expect(isBound(visitor.cookie)).toBe(bound)
    // What moves a cookie to the other form, and what leaves it.
    await visitor.get(apps['reissue: false'], '/write')
    await visitor.get(apps['the default export'], '/write')
    expect(isBound(visitor.cookie)).toBe(bound)
    await visitor.get(apps.adopt, '/read')
    expect(isBound(visitor.cookie)).toBe(true)
    await visitor.get(apps['reissue: false, rolling'], '/read')
    expect(isBound(visitor.cookie)).toBe(false)
  })

  // Why the steps are in this order.
  it.each<[Name, Name]>([
    ['express-session', 'adopt'],
    ['express-session', 'sessions()'],
    ['the default export', 'sessions()'],
    ['reissue: false', 'sessions()']
  ])('%s and %s do not go side by side', async (old, next) => {
    const visitor = browser()
    await visitor.get(apps[old], '/in')
    expect((await goRound(visitor, [old, next])).length).toBeGreaterThan(0)
  })
})

it.each([
  [false, true],
  [true, false]
])('does the same for a client that keeps the session in a header (reissue: %p)', async (reissue, stays) => {
  const store = new MemoryStore()
  const cookie = cookieOf(await request(appWith(RELEASES['express-session']({ store }), routes)).get('/in'), NAME)!
  const adopt = { from: 'express-session' as const, reissue }
  const app = appWith(sessions({ secret, store, name: NAME, transport: 'header', adopt }), routes)
  const value = decodeURIComponent(cookie.slice(NAME.length + 1))
  const res = await request(app).get('/read').set('X-Session', value)
  expect([res.body, res.headers['set-cookie']]).toEqual(['ann', undefined])
  expect(res.headers['x-session'] === undefined).toBe(stays)
})

it('moves a cookie of an older key to the newest one, in the form of express-session while that is issued', async () => {
  const store = new MemoryStore()
  const visitor = browser()
  await visitor.get(appWith(RELEASES['express-session']({ store }), routes), '/in')
  const newer = 'n'.repeat(32)
  const before = visitor.cookie
  expect(
    await visitor.get(appWith(RELEASES['reissue: false']({ store, secret: [newer, secret] }), routes), '/read')
  ).toBe('ann')
  expect([visitor.cookie === before, isBound(visitor.cookie)]).toEqual([false, false])
  expect(await visitor.get(appWith(expressSession({ ...classic, store, secret: newer }), routes), '/read')).toBe('ann')
})
