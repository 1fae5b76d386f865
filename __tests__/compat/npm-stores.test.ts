import express, { type Express } from 'express'
import request from 'supertest'
import { session, SECRET } from '../helpers/alias'
import { deferred } from '../helpers/app'
import { NPM_STORES, type OpenStore } from '../helpers/npm-stores'

// Stores from npm, unchanged, on the servers they are made for.

describe.each(Object.keys(NPM_STORES))('%s', (name) => {
  let open: OpenStore
  let app: Express
  let arrived = deferred()
  let proceed = deferred()

  beforeAll(async () => {
    open = await NPM_STORES[name]!()
  })

  afterAll(() => open?.close())

  beforeEach(() => {
    arrived = deferred()
    proceed = deferred()
    app = appOn(open.store)
  })

  function appOn(store: object, options: object = {}): Express {
    const app = express()
    const cookie = { maxAge: 3_600_000 }
    app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, store, cookie, ...options } as any))
    app.get('/set', (req: any, res) => res.send(Object.assign(req.session, req.query) && 'set'))
    app.get('/who', (req: any, res) => {
      // session-file-store adds a property of its own.
      const own = Object.entries(req.session).filter(([key]) => key !== 'cookie' && key !== '__lastAccess')
      res.json({ id: req.sessionID, data: Object.fromEntries(own) })
    })
    app.get('/slow', async (req: any, res) => {
      arrived.resolve()
      await proceed.promise
      Object.assign(req.session, req.query)
      res.send('slow')
    })
    app.get('/logout', (req: any, res, next) =>
      req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
    )
    app.get('/renew', (req: any, res, next) =>
      req.session.regenerate((err: unknown) => {
        req.session.renewed = 'yes'
        return err ? next(err) : res.send('new')
      })
    )
    return app
  }

  const visit = (path: string, cookie = '', on = app) => request(on).get(path).set('Cookie', cookie)
  const cookieOf = (res: request.Response) => res.headers['set-cookie']?.[0]?.split(';')[0]
  const kept = (id: string) =>
    new Promise((resolve) => open.store.get(id, (err: unknown, found: unknown) => resolve(err ? undefined : found)))

  it('creates, reads, writes and touches a session', async () => {
    const cookie = cookieOf(await visit('/set?user=ann'))!
    const { id, data } = (await visit('/who', cookie)).body
    expect(data).toEqual({ user: 'ann' })
    await visit('/set?cart=full', cookie)
    const touch = typeof open.store.touch === 'function' ? jest.spyOn(open.store, 'touch') : undefined
    expect((await visit('/who', cookie)).body).toEqual({ id, data: { user: 'ann', cart: 'full' } })
    if (touch !== undefined) expect(touch).toHaveBeenCalledTimes(1)
    touch?.mockRestore()
    expect((await visit('/who', cookie)).body.data).toEqual({ user: 'ann', cart: 'full' })
  })

  it('destroys a session, and its cookie', async () => {
    const cookie = cookieOf(await visit('/set?user=ann'))!
    const { id } = (await visit('/who', cookie)).body
    const res = await visit('/logout', cookie)
    expect(res.headers['set-cookie']![0]).toContain('Expires=Thu, 01 Jan 1970')
    expect(await kept(id)).toBeFalsy()
    expect((await visit('/who', cookie)).body.data).toEqual({})
  })

  it('regenerates a session: the old ID is dead, the new one has its own data', async () => {
    const cookie = cookieOf(await visit('/set?user=ann'))!
    const { id } = (await visit('/who', cookie)).body
    const renewed = cookieOf(await visit('/renew', cookie))!
    expect(await kept(id)).toBeFalsy()
    expect((await visit('/who', renewed)).body.data).toEqual({ renewed: 'yes' })
  })

  it.each([{}, { rolling: true }, { resave: true }])(
    'keeps a logout final, whoever writes late, with %j',
    async (options) => {
      const slow = appOn(open.store, options)
      const cookie = cookieOf(await visit('/set?user=ann', '', slow))!
      const { id } = (await visit('/who', cookie, slow)).body
      const late = visit('/slow?written=late', cookie, slow).then((res) => res)
      await arrived.promise
      await visit('/logout', cookie, slow)
      proceed.resolve()
      const res = await late
      expect(res).toMatchObject({ status: 200, text: 'slow' })
      expect(res.headers).not.toHaveProperty('set-cookie')
      expect(await kept(id)).toBeFalsy()
    }
  )

  it('keeps a logout final when a slow request has only read', async () => {
    const cookie = cookieOf(await visit('/set?user=ann'))!
    const { id } = (await visit('/who', cookie)).body
    const late = visit('/slow', cookie).then((res) => res)
    await arrived.promise
    await visit('/logout', cookie)
    proceed.resolve()
    expect((await late).status).toBe(200)
    expect(await kept(id)).toBeFalsy()
  })

  it('keeps both keys that two requests set at once', async () => {
    const cookie = cookieOf(await visit('/set?user=ann'))!
    const late = visit('/slow?one=1', cookie).then((res) => res)
    await arrived.promise
    await visit('/set?two=2', cookie)
    proceed.resolve()
    await late
    expect((await visit('/who', cookie)).body.data).toEqual({ user: 'ann', one: '1', two: '2' })
  })
})
