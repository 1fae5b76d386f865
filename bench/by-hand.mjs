// The floor under the other contenders: the least that answers these scenarios, written by hand. Cookies are signed or
// sealed and verified, sessions expire when they are left idle, changes of nested data are seen, headers are the same.
// Nothing else: the later of two writers wins, a session that was ended comes back, a store that hangs hangs the request.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomFillSync,
  timingSafeEqual
} from 'node:crypto'
import { ServerResponse } from 'node:http'

const IDLE = 24 * 60 * 60 * 1000
const TOUCH_AFTER = 60 * 1000
const REMEMBERED = 2048
const COOKIE_MAX = 4096
const ID_LENGTH = 32
const MODERN_COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/', sameSite: 'lax' }
const CLASSIC_COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

const { end } = ServerResponse.prototype
const VISIT = Symbol('by hand')

// One accessor and one method for all requests: no closure is made for a request.
const SESSION = {
  configurable: true,
  enumerable: true,
  get() {
    return this[VISIT].session
  }
}

function endOfVisit(...args) {
  return this[VISIT].end(this, args)
}

function install(req, res, visit) {
  req[VISIT] = res[VISIT] = visit
  Object.defineProperty(req, 'session', SESSION)
  res.end = endOfVisit
}

const pool = Buffer.allocUnsafeSlow(4800)
let drawn = pool.length

function random(bytes) {
  if (drawn + bytes > pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  drawn += bytes
  return pool.subarray(drawn - bytes, drawn)
}

/** What was looked at lately, in a map that does not grow without end. */
class Remembered extends Map {
  keep(key, value) {
    if (this.size === REMEMBERED) this.clear()
    this.set(key, value)
    return value
  }
}

function valueOf(header, name) {
  for (const pair of header?.split(';') ?? []) {
    const text = pair.trim()
    if (text.startsWith(name) && text[name.length] === '=') return text.slice(name.length + 1)
  }
}

/** IDs with their HMAC behind them, as `sessions()` writes them or as express-session does. */
class SignedIds {
  #key
  #classic
  #seen = new Remembered()

  constructor(secret, classic) {
    this.#key = createSecretKey(Buffer.from(secret))
    this.#classic = classic
  }

  make() {
    return random(24).toString('base64url')
  }

  sign(id) {
    const mac = createHmac('sha256', this.#key).update(id)
    if (!this.#classic) return `${id}.${mac.digest('base64url')}`
    return encodeURIComponent(`s:${id}.${mac.digest('base64').replace(/=+$/, '')}`)
  }

  /** The ID of an authentic value. */
  verify(value) {
    let id = this.#seen.get(value)
    if (id === undefined) id = this.#seen.keep(value, this.#check(value))
    return id === '' ? undefined : id
  }

  #check(value) {
    const start = this.#classic ? 's%3A'.length : 0
    const id = value.slice(start, start + ID_LENGTH)
    const expected = Buffer.from(this.sign(id))
    const given = Buffer.from(value)
    return expected.length === given.length && timingSafeEqual(expected, given) ? id : ''
  }
}

/** Headers of a response that has read a session, and of one that gives another cookie; express-session guards none. */
function writeVary(res) {
  const given = res.getHeader('Vary')
  res.writeHead(res.statusCode, { Vary: given === undefined ? 'Cookie' : `${given}, Cookie` })
}

function sendCookie(res, text, guarded) {
  res.appendHeader('Set-Cookie', text)
  if (!guarded) return
  res.setHeader('Cache-Control', 'private, no-store')
  res.appendHeader('Vary', 'Cookie')
}

/** A request to a store that answers at once: `find(value)` → `{ text, usedAt, … }`, `keep(found, text)` → a cookie. */
class Visit {
  #store
  #req
  #found
  #text
  #session

  constructor(store, req) {
    this.#store = store
    this.#req = req
  }

  get session() {
    if (this.#session !== undefined) return this.#session
    const value = valueOf(this.#req.headers.cookie, this.#store.name)
    this.#found = value === undefined ? undefined : this.#store.find(value)
    this.#text = this.#found?.text ?? '{}'
    return (this.#session = JSON.parse(this.#text))
  }

  end(res, args) {
    if (this.#session !== undefined) {
      const text = JSON.stringify(this.#session)
      const isDue = this.#found !== undefined && Date.now() - this.#found.usedAt > TOUCH_AFTER
      const cookie = text !== this.#text || isDue ? this.#store.keep(this.#found, text) : undefined
      if (cookie === undefined) writeVary(res)
      else sendCookie(res, cookie, true)
    }
    return end.apply(res, args)
  }
}

function answersAtOnce(store) {
  return (req, res, next) => {
    install(req, res, new Visit(store, req))
    next()
  }
}

/** Over a Map of texts. */
export function overMap(secret) {
  const ids = new SignedIds(secret, false)
  const kept = new Map()
  return answersAtOnce({
    name: 'sid',
    find(value) {
      const id = ids.verify(value)
      const found = id === undefined ? undefined : kept.get(id)
      return found !== undefined && Date.now() - found.usedAt < IDLE ? found : undefined
    },
    keep(found, text) {
      const id = found?.id ?? ids.make()
      kept.set(id, { id, text, usedAt: Date.now() })
      return found === undefined ? `sid=${ids.sign(id)}; Path=/; HttpOnly; SameSite=Lax` : undefined
    }
  })
}

/** In the cookie, encrypted and authenticated: base64url of nonce, ciphertext and tag of AES-256-GCM. */
export function inSealedCookie(secret) {
  // The name is in the key: a value is worth nothing under another one.
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, 'by hand', 'sid', 32)))
  const opened = new Remembered()
  const open = (value) => {
    try {
      const bytes = Buffer.from(value, 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
      decipher.setAuthTag(bytes.subarray(-16))
      const plain = decipher.update(bytes.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')
      const usedAt = parseInt(plain, 36)
      return { usedAt, text: plain.slice(plain.indexOf('{')) }
    } catch {
      return null
    }
  }
  return answersAtOnce({
    name: 'sid',
    find(value) {
      let found = opened.get(value)
      if (found === undefined) found = opened.keep(value, open(value))
      return found !== null && Date.now() - found.usedAt < IDLE ? found : undefined
    },
    keep(_found, text) {
      const usedAt = Date.now()
      const nonce = random(12)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const sealed = [nonce, cipher.update(usedAt.toString(36) + text, 'utf8'), cipher.final(), cipher.getAuthTag()]
      const value = Buffer.concat(sealed).toString('base64url')
      if (value.length > COOKIE_MAX) throw new Error(`${value.length} bytes of cookie`)
      opened.keep(value, { usedAt, text })
      return `sid=${value}; Path=/; HttpOnly; SameSite=Lax`
    }
  })
}

/**
 * A request to a store that answers later, and was asked before the handlers ran: `save(id, session, done)` and
 * `touch(id, session, done)` answer before the response goes.
 */
class LaterVisit {
  #store
  #id
  #session
  #text
  #isRead = false
  #next

  constructor(store, id, session, next) {
    this.#store = store
    this.#id = id
    this.#session = session
    this.#next = next
  }

  get session() {
    if (!this.#isRead) {
      this.#isRead = true
      this.#session ??= { cookie: { ...this.#store.cookie } }
      this.#text = JSON.stringify(this.#session)
    }
    return this.#session
  }

  end(res, args) {
    const store = this.#store
    const session = this.#session
    if (session === undefined) return end.apply(res, args)
    const isChanged = this.#isRead && JSON.stringify(session) !== this.#text
    const isNew = this.#id === undefined
    const done = (err) => {
      if (err) return this.#next(err)
      if (isNew && isChanged) sendCookie(res, store.cookieOf(this.#id), store.guarded)
      else if (this.#isRead && store.guarded) writeVary(res)
      end.apply(res, args)
    }
    if (isChanged) store.save((this.#id ??= store.ids.make()), session, done)
    else if (!isNew && store.isDue(session)) store.touch(this.#id, session, done)
    else done()
    return res
  }
}

function answersLater(store) {
  return (req, res, next) => {
    const value = valueOf(req.headers.cookie, store.name)
    const id = value === undefined ? undefined : store.ids.verify(value)
    if (id === undefined) {
      install(req, res, new LaterVisit(store, undefined, undefined, next))
      return next()
    }
    store.load(id, (err, session) => {
      if (err) return next(err)
      install(req, res, new LaterVisit(store, session ? id : undefined, session ?? undefined, next))
      next()
    })
  }
}

/** Over a store for express-session, with the calls that its contract asks for: get, then touch or set. */
export function overForeignStore(secret, store) {
  const ids = new SignedIds(secret, true)
  return answersLater({
    name: 'connect.sid',
    ids,
    cookie: CLASSIC_COOKIE,
    guarded: false,
    cookieOf: (id) => `connect.sid=${ids.sign(id)}; Path=/; HttpOnly`,
    load: (id, done) => store.get(id, done),
    isDue: () => true,
    save: (id, session, done) => store.set(id, session, done),
    touch: (id, session, done) => store.touch(id, session, done)
  })
}

/** Over node-redis: one MGET for the reads of a turn of the event loop, SET for a write, EXPIRE when it is time. */
export function overRedis(secret, client, prefix) {
  const ids = new SignedIds(secret, false)
  const seconds = String(IDLE / 1000)
  let reads = []
  const readAll = () => {
    const asked = reads
    reads = []
    client.sendCommand(['MGET', ...asked.map(({ id }) => prefix + id)]).then(
      (texts) => asked.forEach(({ done }, i) => done(undefined, texts[i] === null ? null : JSON.parse(texts[i]))),
      (err) => asked.forEach(({ done }) => done(err))
    )
  }
  return answersLater({
    name: 'sid',
    ids,
    cookie: MODERN_COOKIE,
    guarded: true,
    cookieOf: (id) => `sid=${ids.sign(id)}; Path=/; HttpOnly; SameSite=Lax`,
    load(id, done) {
      if (reads.length === 0) queueMicrotask(readAll)
      reads.push({ id, done })
    },
    isDue: ({ usedAt }) => Date.now() - usedAt > TOUCH_AFTER,
    save(id, session, done) {
      session.usedAt = Date.now()
      const command = ['SET', prefix + id, JSON.stringify(session), 'EX', seconds]
      client.sendCommand(command).then(() => done(), done)
    },
    touch: (id, _session, done) => client.sendCommand(['EXPIRE', prefix + id, seconds]).then(() => done(), done)
  })
}
