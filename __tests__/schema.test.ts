import request from 'supertest'
import { infoOf, MemoryStore, sessions } from '../lib/index'
import { sessionCookie } from '../lib/testing'
import { appWith, cookieOf, secret } from './helpers/app'
import { basics, login, read } from './helpers/basics'

// A deploy may change the shape of the data, and be taken back.

/** A Standard Schema that checks and migrates. */
const schemaOf = (migrate: (value: any) => object | undefined) => ({
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => {
      const migrated = migrate(value)
      return migrated === undefined ? { issues: [{ message: 'of another release' }] } : { value: migrated }
    }
  }
})

// The first release knows a name; the second splits it, and keeps what the first one needs.
const first = (value: any) => (value.name === undefined || typeof value.name === 'string' ? value : undefined)

const second = (value: any) =>
  value.name === undefined ? value : { ...value, given: value.name.split(' ')[0], family: value.name.split(' ')[1] }

// A careless one gives it another shape.
const careless = ({ name, ...rest }: any) =>
  typeof name === 'string' ? { ...rest, name: { full: name } } : { ...rest, name }

const routes = {
  '/login': (req: any, res: any) => res.json((req.session.name = 'Ann Lee')),
  '/read': ({ session: { cookie: _cookie, ...data }, session }: any, res: any) =>
    res.json({ data, error: infoOf(session).error?.code ?? null }),
  '/rename': (req: any, res: any) => res.json((req.session.name = { full: 'Bea Lee' })),
  '/visit': (req: any, res: any) => res.json((req.session.visits = (req.session.visits ?? 0) + 1))
}

const release = (store: MemoryStore, migrate: (value: any) => object | undefined) =>
  appWith(sessions<any>({ secret, store, schema: schemaOf(migrate) as any }), routes)

it('migrates a record of the first release in the second, readable after the rollback', async () => {
  const store = new MemoryStore()
  const cookie = cookieOf(await request(release(store, first)).get('/login'))!
  const ask = (app: any, path: string) => request(app).get(path).set('Cookie', cookie)
  expect((await ask(release(store, second), '/read')).body.data).toEqual({
    name: 'Ann Lee',
    given: 'Ann',
    family: 'Lee'
  })
  expect((await ask(release(store, second), '/visit')).status).toBe(200)
  const { status, body } = await ask(release(store, first), '/read')
  expect([status, body.error, body.data.name, body.data.visits]).toEqual([200, null, 'Ann Lee', 1])
})

it('leaves alone a record that the release before cannot read, so that it comes back later', async () => {
  const store = new MemoryStore()
  const cookie = cookieOf(await request(release(store, first)).get('/login'))!
  const ask = (app: any, path: string) => request(app).get(path).set('Cookie', cookie)
  expect((await ask(release(store, careless), '/rename')).status).toBe(200)
  const { status, body } = await ask(release(store, first), '/read')
  expect([status, body]).toEqual([200, { data: {}, error: 'ERR_SESSION_SCHEMA' }])
  const again = release(store, (value) => value)
  expect((await ask(again, '/read')).body.data).toEqual({ name: { full: 'Bea Lee' } })
})

it('waits for a schema that answers by promise before the handlers run', async () => {
  const later = async (value: any) => ({ value: { ...value, seen: true } })
  const schema: any = { '~standard': { version: 1, vendor: 'test', validate: later } }
  const app = appWith(sessions<any>({ secret, store: new MemoryStore(), schema }), routes)
  const cookie = cookieOf(await request(app).get('/login'))!
  const { status, body } = await request(app).get('/read').set('Cookie', cookie)
  expect([status, body.data]).toEqual([200, { name: 'Ann Lee', seen: true }])
})

describe('the manager of a release with a schema', () => {
  const userId = (session: any) => session.id && 'ann'
  const managers = (store: MemoryStore, migrate: (value: any) => any, later = false) => {
    const schema: any = schemaOf(migrate)
    const { validate } = schema['~standard']
    // A schema may take its time.
    if (later) schema['~standard'].validate = async (value: unknown) => validate(value)
    return sessions<any>({ secret, store, userId, schema })
  }

  describe.each([
    ['at once', false],
    ['by promise', true]
  ])('that answers %s', (_how, later) => {
    it('gives the data as requests see it', async () => {
      const store = new MemoryStore()
      const made = await managers(store, first, later).create({ name: 'Ann Lee' })
      expect(made.data).toEqual({ name: 'Ann Lee' })
      const auth = managers(store, second, later)
      const data = { name: 'Ann Lee', given: 'Ann', family: 'Lee' }
      expect((await auth.get(made.id))?.data).toEqual(data)
      expect((await auth.list('ann')).map((entry) => [entry.data, entry.error])).toEqual([[data, undefined]])
      expect((await auth.create({ name: 'Bea Lee' })).data).toEqual({ name: 'Bea Lee', given: 'Bea', family: 'Lee' })
      // What the store keeps is left to whoever writes to the session.
      expect(store.get(made.id)).toMatchObject({ name: 'Ann Lee' })
      expect(store.get(made.id)).not.toHaveProperty('given')
    })

    it('gets no session that it refuses, and lists it without its data, to be revoked', async () => {
      const store = new MemoryStore()
      const before = managers(store, careless, later)
      const { id } = await before.create({ name: { full: 'Bea Lee' } })
      const auth = managers(store, first, later)
      expect(await auth.get(id)).toBeNull()
      const [entry] = await auth.list('ann', { current: id })
      expect(entry).toMatchObject({
        id,
        current: true,
        data: {},
        error: { code: 'ERR_SESSION_SCHEMA', kind: 'decode' }
      })
      expect((await before.get(id))?.data).toEqual({ name: { full: 'Bea Lee' } })
      expect(await auth.revoke('ann')).toBe(1)
      expect(store.ids()).toEqual([])
    })

    it('destroys a session that it refuses', async () => {
      const store = new MemoryStore()
      const { id } = await managers(store, careless, later).create({ name: { full: 'Bea Lee' } })
      await managers(store, first, later).destroy(id)
      expect(store.ids()).toEqual([])
    })

    it('creates no session that it refuses', async () => {
      const store = new MemoryStore()
      const auth = managers(store, first, later)
      const issues = [{ message: 'of another release' }]
      const reason = { code: 'ERR_SESSION_SCHEMA', cause: issues }
      await expect(auth.create({ name: { full: 'Bea Lee' } })).rejects.toMatchObject(reason)
      await expect(sessionCookie(auth, { name: 5 })).rejects.toMatchObject(reason)
      expect(store.ids()).toEqual([])
    })
  })

  it('judges what it creates as it will be loaded: by its JSON', async () => {
    const text = managers(new MemoryStore(), ({ since }) => (typeof since === 'string' ? { since } : undefined))
    const since = new Date(0)
    expect((await text.create({ since })).data).toEqual({ since: '1970-01-01T00:00:00.000Z' })
    const date = managers(new MemoryStore(), ({ since }) => (since instanceof Date ? { since } : undefined))
    await expect(date.create({ since })).rejects.toMatchObject({ code: 'ERR_SESSION_SCHEMA' })
  })
})

it('a schema validates and migrates; a record that does not fit is left alone', async () => {
  const store = new MemoryStore()
  const v1 = appWith(sessions({ secret, store }), basics)
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: any) =>
        typeof value.user === 'string' ? { value: { name: value.user } } : { issues: [{ message: 'no user' }] }
    }
  }
  const v2 = appWith(sessions({ secret, store, schema }), basics)
  const [fits, not] = [await login(v1), await login(v1, 'x=1')]
  expect((await read(v2, fits)).body.data).toEqual({ name: 'u' })
  await request(v2).get('/write?y=2').set('Cookie', fits)
  expect((await read(v1, fits)).body.data).toEqual({ user: 'u', y: '2' })
  expect((await read(v2, not)).body).toMatchObject({ isNew: true, code: 'ERR_SESSION_SCHEMA' })
  expect((await read(v1, not)).body.data).toEqual({ x: '1' })
})

it('takes what the data of a schema inherits as well', async () => {
  const app = release(new MemoryStore(), (value) => Object.assign(Object.create({ role: 'guest' }), value))
  const cookie = cookieOf(await request(app).get('/login'))!
  expect((await request(app).get('/read').set('Cookie', cookie)).body.data).toEqual({ name: 'Ann Lee', role: 'guest' })
})
