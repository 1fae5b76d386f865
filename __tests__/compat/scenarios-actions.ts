import { RESPONSES } from './scenarios-responses'

/** What a handler does with its session. A promise that it returns is waited for, after the response too. */
export type Action = (req: any, res: any, next: (err?: unknown) => void) => unknown

/** What the application can see of its session. */
function view(req: any): object {
  const { session } = req
  return {
    id: req.sessionID,
    same: session?.id === req.sessionID,
    keys: session && Object.keys(session),
    text: JSON.stringify(session),
    maxAge: session?.cookie?.maxAge,
    kind: session === null ? 'null' : typeof session,
    own: session && ['id', 'req', 'save', 'touch'].map((key) => session.propertyIsEnumerable(key))
  }
}

const say = (req: any, res: any) => res.send(view(req))

/** Changes the session, then answers. */
const after =
  (change: (session: any, req: any, res: any) => unknown): Action =>
  (req, res) => {
    if (req.session) change(req.session, req, res)
    say(req, res)
  }

/** Runs a verb with a callback, then answers. */
const verb =
  (start: (req: any, done: (err?: unknown) => void, res: any) => unknown): Action =>
  (req, res, next) => {
    if (!req.session) return say(req, res)
    start(req, (err) => (err ? next(err) : say(req, res)), res)
  }

const settle = () => new Promise((resolve) => setImmediate(resolve))

export const ACTIONS: Record<string, Action> = {
  ...RESPONSES,
  nothing: (_req, res) => res.send('ok'),
  read: say,
  write: after((s) => (s.a = 1)),
  'write the same': after((s) => (s.user = 'ann')),
  'write undefined': after((s) => (s.a = undefined)),
  'write nested': after((s) => {
    s.nested ??= {}
    s.nested.deep = { x: 2, y: [s.n] }
  }),
  'write into a list': after((s) => s.nested?.list.push(3)),
  'write a date': after((s) => (s.at = new Date(0))),
  'write and take back': after((s) => {
    s.a = 1
    delete s.a
  }),
  'delete a key': after((s) => delete s.user),
  'delete every key': after((s) => Object.keys(s).forEach((key) => key !== 'cookie' && delete s[key])),
  'change the order of keys': after((s) => {
    const { user } = s
    delete s.user
    s.user = user
  }),
  'write text of every kind': after((s) => (s.text = '"}{\u2028\ud800\u0000\u20ac')),
  'write a reserved word': after((s) => (s.constructor = 1)),
  regenerate: verb((req, done) => req.session.regenerate(done)),
  'regenerate and write': verb((req, done) =>
    req.session.regenerate((err: unknown) => {
      req.session.user = 'eve'
      done(err)
    })
  ),
  'write and regenerate': verb((req, done) => {
    req.session.a = 1
    req.session.regenerate(done)
  }),
  'regenerate twice': verb((req, done) => req.session.regenerate(() => req.session.regenerate(done))),
  'regenerate and save': verb((req, done) =>
    req.session.regenerate(() => {
      req.session.a = 1
      req.session.save(done)
    })
  ),
  'regenerate through the store': verb((req, done) => req.sessionStore.regenerate(req, done)),
  'generate through the store': after((_s, req) => req.sessionStore.generate(req)),
  destroy: verb((req, done) => req.session.destroy(done)),
  'destroy without callback': after((s) => s.destroy()),
  'destroy and clearCookie': verb((req, done, res) => {
    res.clearCookie('connect.sid')
    req.session.destroy(done)
  }),
  'destroy and generate': verb((req, done) =>
    req.session.destroy(() => {
      req.sessionStore.generate(req)
      req.session.a = 1
      done()
    })
  ),
  'destroy through the store': verb((req, done) => req.sessionStore.destroy(req.sessionID, done)),
  unset: after((_s, req) => (req.session = null)),
  'unset by undefined': after((_s, req) => (req.session = undefined)),
  'unset by delete': after((_s, req) => delete req.session),
  'unset, then generate': after((_s, req) => {
    req.session = null
    req.sessionStore.generate(req)
  }),
  reload: verb((req, done) => req.session.reload(done)),
  'write and reload': verb((req, done) => {
    req.session.a = 1
    req.session.reload(done)
  }),
  'reload and write': verb((req, done) =>
    req.session.reload((err: unknown) => {
      if (!err) req.session.a = 1
      done(err)
    })
  ),
  'reload, keep the old one': verb((req, done) => {
    const old = req.session
    old.a = 1
    old.reload((err: unknown) => {
      if (!err) Object.assign(req.session, { copy: old.a, fresh: req.session !== old })
      done(err)
    })
  }),
  save: verb((req, done) => {
    req.session.a = 1
    req.session.save(done)
  }),
  'save unchanged': verb((req, done) => req.session.save(done)),
  'save without callback': after((s) => {
    s.a = 1
    s.save()
  }),
  'save, then write': verb((req, done) => {
    req.session.a = 1
    req.session.save((err: unknown) => {
      req.session.b = 2
      done(err)
    })
  }),
  'save, then take back': verb((req, done) => {
    req.session.a = 1
    req.session.save((err: unknown) => {
      delete req.session.a
      done(err)
    })
  }),
  'save twice': verb((req, done) => {
    req.session.a = 1
    req.session.save(() => req.session.save(done))
  }),
  touch: after((s) => s.touch()),
  resetMaxAge: after((s) => s.resetMaxAge()),
  'touch and save': verb((req, done) => req.session.touch().save(done)),
  'cookie.maxAge': after((s) => (s.cookie.maxAge = 5000)),
  'cookie.maxAge and write': after((s) => {
    s.cookie.maxAge = 5000
    s.a = 1
  }),
  'cookie.maxAge 0 and write': after((s) => {
    s.cookie.maxAge = 0
    s.a = 1
  }),
  'cookie.maxAge null and write': after((s) => {
    s.cookie.maxAge = null
    s.a = 1
  }),
  'cookie.maxAge a string': (req, res) => {
    try {
      req.session.cookie.maxAge = '60000'
      say(req, res)
    } catch (err) {
      res.status(400).send(String(err))
    }
  },
  'cookie.expires a date, and write': after((s) => {
    s.cookie.expires = new Date(2_000_000_000_000)
    s.a = 1
  }),
  'cookie.expires false and write': after((s) => {
    s.cookie.expires = false
    s.a = 1
  }),
  'cookie.secure': after((s) => {
    s.cookie.secure = true
    s.a = 1
  }),
  'cookie.path and domain': after((s) => {
    s.cookie.path = '/deep'
    s.cookie.domain = 'b.test'
    s.cookie.httpOnly = false
    s.a = 1
  }),
  'cookie.sameSite only': after((s) => (s.cookie.sameSite = 'none')),
  'cookie replaced': after((s) => {
    s.cookie = Object.assign(Object.create(Object.getPrototypeOf(s.cookie)), s.cookie, { path: '/x' })
    s.a = 1
  }),
  'look at the cookie': (req, res) => res.send({ all: req.session?.cookie, data: req.session?.cookie.data }),
  'serialize the cookie': (req, res) => res.send({ text: req.session?.cookie.serialize('n', 'a b') ?? '' }),
  'work after the answer': async (req, res) => {
    const { session } = req
    res.send('done')
    await settle()
    await settle()
    if (!session) return
    session.later = 1
    await new Promise((resolve) => session.save(resolve))
  },
  'an error of the handler': (req, _res, next) => {
    if (req.session) req.session.a = 1
    next(new Error('handler'))
  },
  'put another session on the request': verb((req, done) => {
    const id = 'other-id-of-bob'
    req.sessionStore.get(id, (err: unknown, found: object) => {
      if (err) return done(err)
      req.sessionID = id
      req.sessionStore.createSession(req, found)
      done()
    })
  }),
  'look into the store': verb((req, done, res) =>
    req.sessionStore.get(req.sessionID, (err: unknown, found: unknown) => {
      res.set('X-Found', JSON.stringify(found ?? null))
      done(err)
    })
  ),
  'load through the store': verb((req, done, res) =>
    req.sessionStore.load(req.sessionID, (err: unknown, found: any) => {
      res.set('X-Found', JSON.stringify([found?.id, found ?? null, found?.cookie.constructor.name]))
      done(err)
    })
  )
}
