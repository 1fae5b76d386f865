import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import net from 'node:net'
import express from 'express'
import request from 'supertest'
import { generateKey, MemoryStore, sessions } from '../../lib'
import { deferred } from '../helpers/app'
import { get, serving } from '../helpers/raw'
import { cookieOf, pairOf, tokenIn, Visitor } from './visitor'

const { createApp } = require('../../examples/login/app')
const { memoryDocuments } = require('../../examples/login/storage/memory')

const DAY = 24 * 60 * 60 * 1000
const PASSWORD = 'four simple words together'

const ADMIN_TOKEN = 'printed at the start'

let store: MemoryStore
let server: Server

async function serve(options: object = {}): Promise<Server> {
  const documents = memoryDocuments()
  await documents.set('admin-token', ADMIN_TOKEN)
  const app = createApp({ secret: generateKey(), store, documents, limits: { perAddress: 1000 }, ...options })
  const listening = createServer(app).listen(0)
  await once(listening, 'listening')
  return listening
}

async function member(username: string, more: Record<string, string> = {}): Promise<Visitor> {
  const visitor = new Visitor(server)
  await visitor.submit('/register', { username, password: PASSWORD, ...more })
  return visitor
}

const admin = () => member('ada', { adminToken: ADMIN_TOKEN })

async function login(username: string, extra: Record<string, string> = {}): Promise<[Visitor, request.Response]> {
  const visitor = new Visitor(server)
  return [visitor, await visitor.submit('/login', { username, password: PASSWORD, ...extra })]
}

// IDs that a login has ended lead on to the new one for a while, with no data.
const signedIn = () => Object.values(store.all()).filter(({ userId }) => userId !== undefined)

beforeEach(async () => {
  store = new MemoryStore()
  server = await serve()
})

afterEach(() => {
  jest.restoreAllMocks()
  store.close()
  server.close()
})

describe('login example: pages', () => {
  it('starts no session for a visitor who only reads', async () => {
    const page = await new Visitor(server).get('/')
    expect(page.status).toBe(200)
    expect(page.headers['set-cookie']).toBeUndefined()
    expect(await store.ids()).toEqual([])
  })

  it('signs a new user in and shows the flash once, after the redirect', async () => {
    const visitor = new Visitor(server)
    const answer = await visitor.submit('/register', { username: 'Ada', password: PASSWORD })
    expect(answer.status).toBe(303)
    expect(answer.headers.location).toBe('/profile')
    expect((await visitor.get('/profile')).text).toContain('Welcome, ada. Your account is ready.')
    expect((await visitor.get('/profile')).text).not.toContain('Welcome, ada.')
  })

  it('shows the form again for input that does not fit, without the password in it', async () => {
    const answer = await new Visitor(server).submit('/register', { username: 'ada', password: 'short' })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('A password has 12 to 128 characters.')
    expect(answer.text).toContain('value="ada"')
    expect(answer.text).not.toContain('short"')
  })

  it('refuses a username that is taken', async () => {
    await member('ada')
    const answer = await new Visitor(server).submit('/register', { username: 'ADA', password: PASSWORD })
    expect(answer.status).toBe(409)
  })

  it('begins a new session ID at login and leaves the old one dead', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const planted = pairOf(cookieOf(await visitor.get('/login')))
    const answer = await visitor.submit('/login', { username: 'ada', password: PASSWORD })
    expect(pairOf(cookieOf(answer))).not.toBe(planted)
    expect((await visitor.get('/profile')).status).toBe(200)
    expect((await request(server).get('/profile').set('Cookie', planted)).headers.location).toBe('/login')
  })

  it('returns to the page that was asked for, and keeps what was chosen before login', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    expect((await visitor.get('/sessions')).headers.location).toBe('/login')
    const themed = await visitor.submit('/theme', { theme: 'dark', back: '/login' }, '/login')
    expect(themed.headers.location).toBe('/login')
    const answer = await visitor.submit('/login', { username: 'ada', password: PASSWORD })
    expect(answer.headers.location).toBe('/sessions')
    expect((await visitor.get('/sessions')).text).toContain('data-theme="dark"')
  })

  it('answers a wrong password and an unknown user alike', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const known = await visitor.submit('/login', { username: 'ada', password: 'not the right one' })
    const unknown = await visitor.submit('/login', { username: 'bob', password: 'not the right one' })
    expect([known.status, unknown.status]).toEqual([401, 401])
    expect(known.text).toContain('Wrong username or password.')
    expect(unknown.text.replaceAll('value="bob"', 'value="ada"')).toBe(known.text)
  })

  it('slows down guessing, for the right password too', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const guess = (password: string) => visitor.submit('/login', { username: 'ada', password })
    for (let i = 0; i < 5; i++) expect((await guess('not the right one')).status).toBe(401)
    const sixth = await guess(PASSWORD)
    expect(sixth.status).toBe(429)
    expect(Number(sixth.headers['retry-after'])).toBeGreaterThan(14 * 60)
    const now = Date.now()
    jest.spyOn(Date, 'now').mockImplementation(() => now + 16 * 60 * 1000)
    expect((await guess(PASSWORD)).status).toBe(303)
  })

  it('shows and updates the profile, escaped', async () => {
    const visitor = await member('ada')
    const displayName = `Ada <script>alert("1")</script>`
    const answer = await visitor.submit('/profile', { displayName, bio: '</textarea>' })
    expect(answer.headers.location).toBe('/profile')
    const page = (await visitor.get('/profile')).text
    expect(page).toContain('value="Ada &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"')
    expect(page).toContain('&lt;/textarea&gt;</textarea>')
    expect(page).toContain('Your profile is saved.')
    expect(page).not.toContain('<script>')
  })

  it('refuses a form without its token, or with the token of another session', async () => {
    const visitor = await member('ada')
    const foreign = tokenIn((await new Visitor(server).get('/login')).text)
    for (const fields of [{}, { _csrf: '' }, { _csrf: foreign }, { '_csrf[]': foreign }]) {
      const answer = await visitor.agent
        .post('/profile')
        .type('form')
        .send({ displayName: 'Mallory', bio: '', ...fields })
      expect(answer.status).toBe(403)
    }
    expect((await visitor.get('/profile')).text).not.toContain('Mallory')
  })

  it('gives a session that signed in another token than it had before', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const before = tokenIn((await visitor.get('/login')).text)
    await visitor.submit('/login', { username: 'ada', password: PASSWORD })
    expect(tokenIn((await visitor.get('/profile')).text)).not.toBe(before)
  })

  it('opens the administrator page to whoever registered with the token, which counts once', async () => {
    const second = await member('bob')
    const first = await admin()
    const page = await first.get('/admin')
    expect(page.status).toBe(200)
    expect(page.text).toContain('>bob</td>')
    expect((await first.get('/admin?q=da')).text).not.toContain('>bob</td>')
    expect((await second.get('/admin')).status).toBe(403)
    const guest = await new Visitor(server).get('/admin')
    expect(guest.headers.location).toBe('/login')
    for (const adminToken of [ADMIN_TOKEN, 'another']) {
      const fields = { username: 'eve', password: PASSWORD, adminToken }
      expect((await new Visitor(server).submit('/register', fields)).status).toBe(403)
    }
  })

  it('lets the administrator sign a user out, who reads why on the login page, once', async () => {
    const [first, second] = [await admin(), await member('bob')]
    const answer = await first.submit('/admin/users/bob/sign-out', {}, '/admin')
    expect(answer.headers.location).toBe('/admin')
    expect((await first.get('/admin')).text).toContain('bob is signed out of 1 device.')
    expect((await second.get('/profile')).headers.location).toBe('/login')
    expect((await second.get('/login')).text).toContain('An administrator signed you out.')
    expect((await second.get('/login')).text).not.toContain('An administrator signed you out.')
    const other = await second.submit('/admin/users/ada/sign-out', {}, '/login')
    expect([other.status, other.headers.location]).toEqual([303, '/login'])
  })

  it('keeps the cart when the login ends', async () => {
    const visitor = new Visitor(server)
    await visitor.submit('/shop/add', { product: 'tea' }, '/shop')
    await visitor.submit('/register', { username: 'ada', password: PASSWORD })
    await visitor.submit('/shop/add', { product: 'tea' }, '/shop')
    await visitor.submit('/logout', {}, '/profile')
    expect((await visitor.get('/shop')).text).toContain('2 x Green tea')
    expect((await visitor.submit('/shop/remove', { product: 'tea' }, '/shop')).status).toBe(303)
    expect((await visitor.get('/shop')).text).toContain('1 x Green tea')
    expect((await visitor.submit('/shop/add', { product: '__proto__' }, '/shop')).status).toBe(404)
  })

  it('asks for the password again before what is sensitive, and gives the session a new ID', async () => {
    await member('ada')
    const [visitor, answer] = await login('ada')
    expect((await visitor.get('/data')).headers.location).toBe('/confirm')
    expect((await visitor.submit('/confirm', { password: 'not the right one' })).status).toBe(403)
    const confirmed = await visitor.submit('/confirm', { password: PASSWORD })
    expect(confirmed.headers.location).toBe('/data')
    expect(pairOf(cookieOf(confirmed))).not.toBe(pairOf(cookieOf(answer)))
    expect((await visitor.get('/data.json')).body).toMatchObject({ username: 'ada', sessions: [{}, {}] })
    const now = Date.now()
    jest.spyOn(Date, 'now').mockImplementation(() => now + 6 * 60 * 1000)
    expect((await visitor.get('/data')).headers.location).toBe('/confirm')
  })

  it('shows what was typed, but no password, and who is signed in, where a form cannot be taken', async () => {
    const visitor = await member('ada')
    const typed = { _csrf: 'x', bio: 'A long text <b>', password: 'a secret of mine' }
    const answer = await visitor.agent.post('/profile').type('form').send(typed)
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('A long text &lt;b&gt;</textarea>')
    expect(answer.text).toContain('Sign out')
    expect(answer.text).not.toContain('a secret of mine')
  })

  it('remembers a visitor for 30 days who asks for it, and nobody else', async () => {
    await member('ada')
    const [remembered, withBox] = await login('ada', { remember: 'on' })
    const [forgotten, without] = await login('ada')
    expect(cookieOf(withBox)).toContain(`Max-Age=${(30 * DAY) / 1000}`)
    expect(cookieOf(without)).not.toMatch(/Max-Age|Expires/)
    const now = Date.now()
    jest.spyOn(Date, 'now').mockImplementation(() => now + 3 * DAY)
    expect((await remembered.get('/profile')).status).toBe(200)
    expect((await forgotten.get('/profile')).headers.location).toBe('/login')
  })

  it('logs out by removing the record and expiring the cookie', async () => {
    const visitor = await member('ada')
    const [other, answer] = await login('ada')
    const copied = pairOf(cookieOf(answer))
    expect(signedIn()).toHaveLength(2)
    const out = await other.submit('/logout', {}, '/profile')
    expect(out.headers.location).toBe('/?signed-out')
    expect(cookieOf(out)).toMatch(/^sid=;.*(Max-Age=0|Expires=Thu, 01 Jan 1970)/)
    expect(signedIn()).toHaveLength(1)
    expect((await request(server).get('/profile').set('Cookie', copied)).headers.location).toBe('/login')
    const home = await other.get('/?signed-out')
    expect(home.text).toContain('You are signed out.')
    expect(home.headers['set-cookie']).toBeUndefined()
    expect((await visitor.get('/profile')).status).toBe(200)
  })

  it('does not log out on GET', async () => {
    const visitor = await member('ada')
    expect((await visitor.get('/logout')).status).toBe(404)
    expect((await visitor.get('/profile')).status).toBe(200)
  })

  it('ends the other sessions when the password changes', async () => {
    const visitor = await member('ada')
    const [other] = await login('ada')
    const fields = { password: PASSWORD, newPassword: 'another four simple words' }
    const wrong = await visitor.submit('/password', { ...fields, password: 'not the right one' })
    expect(wrong.status).toBe(403)
    expect((await other.get('/profile')).status).toBe(200)
    await visitor.submit('/password', fields)
    expect((await visitor.get('/profile')).text).toContain('Other sessions signed out: 1.')
    expect((await other.get('/profile')).headers.location).toBe('/login')
    expect((await login('ada'))[1].status).toBe(401)
  })

  it('lists the sessions of a user and ends one of them', async () => {
    const visitor = await member('ada')
    const stranger = await member('bob')
    const [other] = await login('ada')
    const rows = (await visitor.get('/sessions')).text.split('<li').filter((row) => row.includes('/end"'))
    const others = rows.filter((row) => !row.includes('This device'))
    expect([rows.length, others.length]).toEqual([2, 1])
    expect(others[0]).toContain('This machine. Last seen')
    const otherHandle = /\/sessions\/([\w-]+)\/end/.exec(others[0]!)![1]
    const theirs = await stranger.submit(`/sessions/${otherHandle}/end`, {}, '/sessions')
    expect(theirs.status).toBe(404)
    await visitor.submit(`/sessions/${otherHandle}/end`, {}, '/sessions')
    expect((await other.get('/profile')).headers.location).toBe('/login')
    expect((await visitor.get('/profile')).status).toBe(200)
  })

  it('sends its security headers with pages and with errors', async () => {
    for (const path of ['/', '/nowhere', '/api/nowhere']) {
      const { headers } = await new Visitor(server).get(path)
      expect(headers['content-security-policy']).toContain("default-src 'none'")
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['cache-control']).toContain('no-store')
      expect(headers['x-powered-by']).toBeUndefined()
    }
  })
})

describe('login example: live pages', () => {
  it('keep nothing for a visitor who has left before the stream begins', async () => {
    const { openStream } = require('../../examples/login/live')
    const auth = sessions<any>({ secret: generateKey() })
    const [entered, left] = [deferred(), deferred()]
    const begun = jest.spyOn(globalThis, 'setInterval')
    const app = express().use(auth)
    app.get('/live', (req, res) => {
      entered.resolve()
      res.once('close', () => setImmediate(() => left.resolve(openStream(req, res))))
    })
    await serving(app, async (port) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(get('/live')))
      await entered.promise
      begun.mockClear()
      socket.destroy()
      await left.promise
    })
    expect(begun).not.toHaveBeenCalled()
  })
})

describe('login example: a store that is down', () => {
  it('answers an error page, or JSON under /api, and confirms no login', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const { csrfToken } = (await visitor.get('/api/session')).body
    jest.spyOn(console, 'error').mockImplementation(() => undefined)
    jest.spyOn(store, 'set').mockImplementation(() => Promise.reject(new Error('down')))
    const body = { username: 'ada', password: PASSWORD }
    const login = await visitor.agent
      .post('/login')
      .type('form')
      .send({ _csrf: csrfToken, ...body })
    expect(login.status).toBeGreaterThanOrEqual(500)
    expect(login.type).toBe('text/html')
    expect(login.headers['set-cookie']).toBeUndefined()
    jest.spyOn(store, 'get').mockImplementation(() => Promise.reject(new Error('down')))
    const api = await visitor.get('/api/profile')
    expect(api.status).toBeGreaterThanOrEqual(500)
    expect(Object.keys(api.body)).toEqual(['error'])
    expect(JSON.stringify(api.body)).not.toContain('down')
  })
})

describe('login example: JSON API', () => {
  it('registers, logs in, updates and logs out', async () => {
    const visitor = new Visitor(server)
    const registered = await visitor.call('post', '/api/register', { username: 'ada', password: PASSWORD })
    expect(registered.status).toBe(201)
    expect(registered.body.user).toEqual({ username: 'ada', displayName: 'ada', bio: '', role: 'member' })
    const updated = await visitor.call('put', '/api/profile', { displayName: 'Ada', bio: '' })
    expect(updated.body.displayName).toBe('Ada')
    const out = await visitor.call('post', '/api/logout')
    expect(out.status).toBe(204)
    const refused = await visitor.get('/api/profile')
    expect([refused.status, refused.body]).toEqual([401, { error: 'Please sign in.' }])
    const back = await visitor.call('post', '/api/login', { username: 'ada', password: PASSWORD, remember: true })
    expect(back.body.user.displayName).toBe('Ada')
    expect(cookieOf(back)).toContain('Max-Age=')
    const { body } = await visitor.get('/api/session')
    expect(body).toEqual({ user: back.body.user, csrfToken: back.body.csrfToken })
  })

  it('refuses unsafe calls without the token in the header', async () => {
    const visitor = await member('ada')
    const { csrfToken } = (await visitor.get('/api/session')).body
    const put = (body: object) => visitor.agent.put('/api/profile').send({ displayName: 'Mallory', bio: '', ...body })
    expect((await put({})).status).toBe(403)
    expect((await put({ _csrf: csrfToken })).status).toBe(403)
    expect((await put({}).set('X-CSRF-Token', csrfToken)).status).toBe(200)
  })

  it('answers problems as JSON, the same for a wrong password and an unknown user', async () => {
    await member('ada')
    const visitor = new Visitor(server)
    const wrong = await visitor.call('post', '/api/login', { username: 'ada', password: 'not the right one' })
    const unknown = await visitor.call('post', '/api/login', { username: 'bob', password: 'not the right one' })
    expect([wrong.status, wrong.body]).toEqual([401, { error: 'Wrong username or password.' }])
    expect([unknown.status, unknown.body]).toEqual([wrong.status, wrong.body])
    const odd = await visitor.call('post', '/api/register', { username: { a: 1 }, password: ['b'] })
    expect([odd.status, odd.body.field]).toEqual([422, 'username'])
    const broken = await visitor.agent.post('/api/login').type('json').send('{')
    expect([broken.status, broken.body]).toEqual([400, { error: 'Bad Request.' }])
  })

  it('lists sessions without their IDs, and ends one', async () => {
    const visitor = await member('ada')
    const [other] = await login('ada')
    const list = (await visitor.get('/api/sessions')).body
    expect(list).toHaveLength(2)
    for (const id of await store.ids()) expect(JSON.stringify(list)).not.toContain(id)
    const { handle } = list.find((entry: { current: boolean }) => !entry.current)
    expect((await visitor.call('delete', `/api/sessions/${handle}`)).status).toBe(204)
    expect((await other.get('/api/profile')).status).toBe(401)
    expect((await visitor.get('/api/sessions')).body).toHaveLength(1)
  })

  it('keeps the list of users to administrators', async () => {
    const first = await admin()
    const second = await member('bob')
    expect((await first.get('/api/users')).body).toHaveLength(2)
    expect((await second.get('/api/users')).status).toBe(403)
    expect((await new Visitor(server).get('/api/users')).status).toBe(401)
  })
})
