import request from 'supertest'
import { session, SECRET } from '../helpers/alias'
import { appWith, cookieOf, deferred } from '../helpers/app'
import { MongoDouble } from '../helpers/mongo-double'

const { MongoStore } = require('connect-mongo')
const { sessions } = session

const DOORS: Record<string, (store: object) => any> = {
  'the default door': (store) =>
    session({
      secret: SECRET,
      name: 'sid',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
      store
    } as any),
  'sessions()': (store) => sessions({ secret: SECRET, touchAfter: 0, store: store as never })
}

describe.each(Object.entries(DOORS))('connect-mongo behind %s', (_name, door) => {
  let mongo: MongoDouble
  let arrived = deferred()
  let proceed = deferred()

  beforeEach(() => {
    mongo = new MongoDouble()
    arrived = deferred()
    proceed = deferred()
  })

  // A process of its own, as far as the store can tell.
  function appOn(store: any = new MongoStore({ client: mongo })) {
    return appWith(door(store), {
      '/login': (req, res) => res.send((req.session.user = 'ann')),
      '/read': (req, res) => res.send(String(req.session.user)),
      '/write': (req, res) => res.send(String((req.session.n = (req.session.n ?? 0) + 1))),
      '/slow': async (req, res) => {
        arrived.resolve()
        await proceed.promise
        res.send(`read ${req.session.user}`)
      },
      '/logout': (req, res, next) => req.session.destroy((err: unknown) => (err ? next(err) : res.send('out')))
    })
  }

  const visit = (app: any, path: string, cookie: string) => request(app).get(path).set('Cookie', cookie)

  it.each([
    ['in another process', () => appOn()],
    ['in the same process', undefined]
  ])('sends the response of a reader to whom a logout %s comes first', async (_where, another) => {
    const store = new MongoStore({ client: mongo })
    const app = appOn(store)
    const cookie = cookieOf(await request(app).get('/login'))!
    const touch = jest.spyOn(store, 'touch')
    const slow = visit(app, '/slow', cookie).then((res) => res)
    await arrived.promise
    await visit(another?.() ?? app, '/logout', cookie).expect('out')
    proceed.resolve()
    expect(await slow).toMatchObject({ status: 200, text: 'read ann' })
    if (another !== undefined) expect(touch).toHaveBeenCalledTimes(1)
    expect(mongo.documents.size).toBe(0)
    await visit(app, '/read', cookie).expect(200, 'undefined')
  })

  it('keeps to its own touchAfter', async () => {
    const app = appOn(new MongoStore({ client: mongo, touchAfter: 3600 }))
    const cookie = cookieOf(await request(app).get('/login'))!
    const update = jest.spyOn(mongo, 'updateOne')
    await visit(app, '/read', cookie).expect('ann')
    expect(update).not.toHaveBeenCalled()
    await visit(app, '/write', cookie).expect('1')
    await visit(app, '/write', cookie).expect('2')
    expect(update).toHaveBeenCalledTimes(2)
    expect(mongo.documents.values().next().value!.session).not.toContain('lastModified')
  })
})
