import { readFileSync } from 'node:fs'
import path from 'node:path'
import { infoOf, Session } from '../../lib/index'
import express, { type Express } from 'express'
import request from 'supertest'
import session, { CookieStore, sessions } from '../../lib/index'
import { cookieOf, secret } from '../helpers/app'
import { evaluate } from '../helpers/documented'
import { scorecard, type Scorecard } from '../../lib/testkit'
import { ask, hasPowers } from '../helpers/store-contract'
import { NPM_STORES, type OpenStore } from '../helpers/npm-stores'
import { OWN_STORES } from '../helpers/own-stores'

const expressSession = jest.requireActual('express-session')

const COOKIE_STORE = async (): Promise<OpenStore> => ({
  store: new CookieStore(),
  spoil: () => undefined,
  close: async () => undefined
})

const DOCUMENTED_STORE = async (): Promise<OpenStore> => {
  const store = new (evaluate('docs/stores.md', 'class MapStore', 'MapStore'))()
  return { store, spoil: (id) => ask(store, 'set', id, { cookie: {}, toJSON: () => 42 }), close: async () => undefined }
}

const openers = {
  ...OWN_STORES,
  ...NPM_STORES,
  CookieStore: COOKIE_STORE,
  'the store in docs/stores.md': DOCUMENTED_STORE
}
/** What is kept they hand out, even a number or a text, which express-session fails to make a session of. */
const HAND_OUT_ANYTHING = ['connect-pg-simple', 'connect-memcached', 'connect-sqlite3']

const open: Record<string, OpenStore> = {}
const cards: Record<string, Scorecard> = {}

beforeAll(async () => {
  const names = Object.keys(openers)
  // The servers first: while they start, nothing else answers in time.
  await Promise.all(names.map(async (name) => (open[name] = await openers[name as keyof typeof openers]())))
  await Promise.all(
    names.map(async (name) => {
      if (name === 'CookieStore') return
      const { store, another, spoil } = open[name]!
      const made = [store, another?.() ?? store]
      cards[name] = await scorecard(() => made.shift()!, { spoil })
    })
  )
})

afterAll(() => Promise.all(Object.values(open).map(({ close }) => close())))

/** The application that every store is to serve alike, behind any session middleware. */
function appBehind(middleware: any): Express {
  const app = express().use(middleware)
  app.get('/login', (req: any, res, next) =>
    req.session.regenerate((err: unknown) => {
      if (err) return next(err)
      req.session.user = 'ann'
      res.send('in')
    })
  )
  app.get('/count', (req: any, res) => void res.send(String((req.session.n = (req.session.n ?? 0) + 1))))
  app.get('/who', (req: any, res) => {
    res.json({ id: req.sessionID, user: req.session.user, n: req.session.n, error: reasonOf(req.session) })
  })
  app.get('/reload', (req: any, res, next) => {
    req.session.user = 'nobody'
    req.session.reload((err: unknown) => (err ? next(err) : res.send(req.session.user)))
  })
  app.get('/logout', (req: any, res, next) =>
    req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
  )
  return app
}

// Behind express-session itself there is no reason to tell.
function reasonOf(given: any): string | undefined {
  return given instanceof Session ? infoOf(given).error?.code : undefined
}

const visit = (app: Express, path: string, cookie = '') => request(app).get(path).set('Cookie', cookie)
const newest = (res: request.Response, cookie: string) => cookieOf(res) ?? cookie

async function servesTheApplication(app: Express): Promise<void> {
  const anonymous = cookieOf(await visit(app, '/count').expect(200, '1'))!
  const login = await visit(app, '/login', anonymous).expect(200)
  let cookie = cookieOf(login)!
  expect(cookie).not.toBe(anonymous)
  cookie = newest(await visit(app, '/count', cookie).expect(200, '1'), cookie)
  cookie = newest(await visit(app, '/count', cookie).expect(200, '2'), cookie)
  expect((await visit(app, '/who', cookie)).body).toMatchObject({ user: 'ann', n: 2 })
  await visit(app, '/reload', cookie).expect(200, 'ann')
  await visit(app, '/logout', cookie).expect(200)
  for (const old of [anonymous, cookie]) expect((await visit(app, '/who', old)).body).not.toHaveProperty('user')
}

describe.each(Object.keys(openers))('%s', (name) => {
  const opened = () => open[name]!

  if (name in OWN_STORES) {
    it('keeps every promise', () => {
      const shared = opened().another !== undefined
      const asked = cards[name]!.scores.filter(({ group }) => shared || group !== 'two processes')
      expect(asked.filter(({ holds }) => holds !== true)).toEqual([])
    })
  }

  it('serves an application with sessions()', () =>
    servesTheApplication(appBehind(sessions({ secret, store: opened().store }))))

  if (name in OWN_STORES || openers[name as never] === DOCUMENTED_STORE) {
    it('serves an application with express-session itself', () =>
      servesTheApplication(
        appBehind(
          expressSession({ secret, name: 'sid', resave: false, saveUninitialized: false, store: opened().store })
        )
      ))
  }

  if (name !== 'CookieStore') {
    it('begins anew for a visitor whose record is spoilt, and tells why', async () => {
      const app = appBehind(sessions({ secret, store: opened().store }))
      const cookie = cookieOf(await visit(app, '/login'))!
      const { id } = (await visit(app, '/who', cookie)).body
      await opened().spoil(id)
      const answer = await visit(app, '/who', cookie).expect(200)
      expect(answer.body.id).not.toBe(id)
      expect(answer.body.error).toMatch(/^ERR_SESSION_(CORRUPT|MISSING)$/)
      const again = cookieOf(await visit(app, '/login', cookie).expect(200))!
      expect((await visit(app, '/who', again)).body).toMatchObject({ user: 'ann' })
    })
  }

  if (name in NPM_STORES) {
    const better = HAND_OUT_ANYTHING.includes(name)
    it(`answers ${better ? 'with a new session' : 'as express-session does'} with the default door`, async () => {
      const options = { secret, name: 'sid', resave: false, saveUninitialized: false, store: opened().store }
      const answers = [session(options as never), expressSession(options)].map(async (middleware) => {
        const app = appBehind(middleware)
        const cookie = cookieOf(await visit(app, '/login'))!
        const { id } = (await visit(app, '/who', cookie)).body
        await opened().spoil(id)
        return (await visit(app, '/who', cookie)).status
      })
      const [ours, theirs] = await Promise.all(answers)
      expect([ours, theirs]).toEqual(better ? [200, 500] : [theirs, theirs])
    })
  }

  if (name in OWN_STORES) hasPowers(opened)
})

it('docs/stores.md has the scorecards', () => {
  const named = Object.keys(NPM_STORES)
  const own = Object.keys(OWN_STORES).filter((name) => open[name]!.another !== undefined)
  const rows = cards[own[0]!]!.scores.map(({ group, promise }, at) => {
    const cellOf = (name: string) =>
      ({ true: 'yes', false: '**no**', undefined: '-' })[String(cards[name]!.scores[at]!.holds)]
    return [group, promise, ...named.map(cellOf), ...new Set(own.map(cellOf))]
  })
  const table = [['', 'promise', ...named, 'ours'], ...rows]
  const widths = table[0]!.map((_, at) => Math.max(...table.map((row) => row[at]!.length)))
  table.splice(
    1,
    0,
    widths.map((width) => '-'.repeat(width))
  )
  const text = table.map((row) => `| ${row.map((cell, at) => cell!.padEnd(widths[at]!)).join(' | ')} |`).join('\n')
  expect(readFileSync(path.join(__dirname, '../../docs/stores.md'), 'utf8')).toContain(text)
})
