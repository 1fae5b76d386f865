// What the runtimes serve: each door on stores that answer at once, late and never well, below /DOOR/STORE.
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import compression from 'compression'
import express from 'express'
import session, { MemoryStore, sessions, Store } from 'silverback'

const secret = 'a secret for the runtimes, thirty-two bytes or more'
// workerd gives no heap limit that a default could go by.
const memory = () => new MemoryStore({ maxBytes: 16 * 1024 * 1024 })

const STORES = {
  quick: memory,
  late() {
    const kept = new Map()
    const later = (done, ...args) => setTimeout(done, 20, ...args)
    return Object.assign(Reflect.construct(Store, []), {
      get: (id, done) => later(done, null, kept.has(id) ? JSON.parse(kept.get(id)) : null),
      set: (id, data, done) => later(() => done(null, void kept.set(id, JSON.stringify(data)))),
      destroy: (id, done) => later(() => done(null, void kept.delete(id)))
    })
  },
  failing() {
    const fail = (done) => setTimeout(done, 20, new Error('the store is down'))
    return Object.assign(Reflect.construct(Store, []), {
      get: (_id, done) => done(null, null),
      set: (_id, _data, done) => fail(done),
      destroy: (_id, done) => fail(done)
    })
  }
}

const DOORS = {
  sessions: (store) => sessions({ secret, store }),
  session: (store) => session({ secret, store, resave: false, saveUninitialized: false })
}

const PLACES = {
  alone: (door) => [door],
  before: (door) => [compression({ threshold: 0 }), door],
  behind: (door) => [door, compression({ threshold: 0 })]
}

const BODY = 'hello'.repeat(4000)

function routes(layers) {
  const app = express.Router()
  for (const layer of layers) app.use(layer)
  app.get('/login', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.user = 'ann'
      res.redirect('who')
    })
  })
  app.get('/who', (req, res) => res.json({ user: req.session.user ?? null }))
  app.get('/logout', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.send('out'))))
  app.get('/sent', (req, res) => {
    req.session.seen = 'sent'
    res.type('text').send(BODY)
  })
  app.get('/piped', (req, res) => {
    req.session.seen = 'piped'
    res.type('text')
    Readable.from([BODY, BODY]).pipe(res)
  })
  app.get('/written', async (req, res) => {
    req.session.seen = 'written'
    res.type('text')
    for (let i = 0; i < 3; i++) if (!res.write(BODY)) await new Promise((resolve) => res.once('drain', resolve))
    res.end()
  })
  // Mistakes that must cost no process and no answer.
  app.get('/twice', (req, res) => {
    req.session.seen = 'twice'
    res.send('once')
    try {
      res.send('twice')
    } catch (err) {
      console.error(err.code)
    }
  })
  app.get('/next', (req, res, next) => {
    req.session.seen = 'next'
    res.send('once')
    next()
  })
  app.use((err, _req, res, next) => (res.headersSent ? next(err) : res.status(500).send(`sorry: ${err.code}`)))
  return app
}

const app = express()
for (const [door, open] of Object.entries(DOORS)) {
  for (const [kind, make] of Object.entries(STORES)) {
    const guard = open(make())
    for (const [place, layers] of Object.entries(PLACES)) app.use(`/${door}/${kind}/${place}`, routes(layers(guard)))
  }
}
app.get('/ready', (_req, res) => void res.send('ready'))

export const port = Number(process.env.PORT ?? 8080)
createServer(app).listen(port, '127.0.0.1')
