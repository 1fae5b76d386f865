import { appWith, secret } from '../helpers/app'
import { plainStore, ROUTES, setCookies, visit } from '../helpers/classic'
import { SIDES, type Side } from '../helpers/two-sides'
import { sessions } from '../../lib/index'

// Orders of calls that a long random comparison of both packages has brought up; each holds for express-session, too.

const WEEK = 7 * 24 * 3600 * 1000

describe.each(Object.entries(SIDES))('with the %s', (_name, side: Side) => {
  const storeOf = () => Object.setPrototypeOf(plainStore(), side.Store.prototype)

  const appOf = (options: object, routes: Parameters<typeof appWith>[1]) =>
    appWith(side({ secret, resave: false, saveUninitialized: false, ...options }), { ...ROUTES, ...routes })

  it('a lifetime given after regenerate() and save(), as after a login by passport, is stored', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/remember': (req, res) =>
          req.session.regenerate(() => {
            req.session.user = 'ann'
            req.session.save(() => {
              req.session.cookie.maxAge = WEEK
              res.redirect('/who')
            })
          })
      }
    )
    const welcome = await visit(app, '/remember')
    expect(setCookies(welcome)[0]).toContain('Expires=')
    expect(JSON.parse([...store.texts.values()][0]).cookie.originalMaxAge).toBe(WEEK)
    expect((await visit(app, '/who', welcome.cookie)).body.user).toBe('ann')
  })

  it('a session that was deleted from the request and then set to null is unset', async () => {
    const store = storeOf()
    const app = appOf(
      { store, unset: 'destroy' },
      {
        '/out': (req, res) => {
          delete req.session
          req.session = null
          res.json({ session: req.session })
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/out', cookie)).body).toEqual({ session: null })
    expect(store.texts.size).toBe(0)
  })

  it('the object from before reload() destroys the session of the request', async () => {
    const store = storeOf()
    const app = appOf(
      { store },
      {
        '/out': (req, res) => {
          const { session } = req
          session.reload(() => session.destroy(() => res.json({ gone: req.session === undefined })))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/out', cookie)).body).toEqual({ gone: true })
    expect(store.texts.size).toBe(0)
  })

  it('reload() reads what save() was given before, awaited or not', async () => {
    const app = appOf(
      { store: storeOf() },
      {
        '/change': (req, res) => {
          req.session.user = 'bob'
          req.session.save()
          req.session.reload(() => res.json({ user: req.session.user }))
        }
      }
    )
    const { cookie } = await visit(app, '/login')
    expect((await visit(app, '/change', cookie)).body).toEqual({ user: 'bob' })
  })
})

it('sessions() expires the cookie of a session that its object from before reload() destroys', async () => {
  const auth = sessions({ secret, name: 'connect.sid' })
  const app = appWith(auth, {
    ...ROUTES,
    '/out': async (req, res) => {
      const { session } = req
      await session.reload()
      await session.destroy()
      res.send('out')
    }
  })
  const { cookie } = await visit(app, '/login')
  expect(setCookies(await visit(app, '/out', cookie))[0]).toMatch(/^connect\.sid=; Max-Age=0; /)
  expect((await visit(app, '/who', cookie)).body.user ?? null).toBeNull()
})
