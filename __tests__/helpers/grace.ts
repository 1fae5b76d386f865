import { cookieOf } from './app'
import { Clock } from './clock'
import { alone, COOKIE_GROUNDS, type Ground, GROUNDS, type Pair } from './race'
import type { RaceOptions } from './race-app'

const TheirMemoryStore = require('express-session').MemoryStore

const GRACE = 60_000

const hashed = (open: () => Promise<Ground>) => async () => {
  const ground = await open()
  return { ...ground, start: (options?: RaceOptions) => ground.start({ ...options, given: { hashIds: true } }) }
}

// None of these has an index of users.
const indexless: typeof GROUNDS = {
  'a store that only knows the contract, one process': alone(async () => ({ store: new TheirMemoryStore() })),
  ...COOKIE_GROUNDS,
  'cookies although IDs are to be hashed, one process': hashed(COOKIE_GROUNDS['cookies, one process']!)
}

const grounds: typeof GROUNDS = {
  ...GROUNDS,
  'memory with hashed IDs, one process': hashed(GROUNDS['memory, one process']!),
  ...indexless
}

/** What a rotation that keeps its session promises, on the grounds of one process or of two. */
export function describeGrace(processes: 'one process' | 'two processes'): void {
  const chosen = Object.entries(grounds).filter(([name]) => name.endsWith(processes))
  describe.each(chosen)('regenerate({ keep, grace }) (%s)', (name, open) => {
    // Data that is nowhere but in its cookies meets within a process only.
    const split = name in COOKIE_GROUNDS && !name.endsWith('one process')
    let ground: Ground
    let here: Pair['here']
    let there: Pair['there']
    let cookie: string
    let user: string
    let users = 0

    beforeAll(async () => {
      ground = await open()
      ;({ here, there } = await ground.start({ indexless: name in indexless }))
    })

    afterAll(() => ground?.close())

    beforeEach(async () => {
      user = `user${++users}`
      cookie = cookieOf(await here.get(`/set?user=${user}`))!
      await here.get('/dropped')
      await there.get('/dropped')
    })

    // Elsewhere nothing is known of a session that nobody has come with yet, so nothing is led to.
    const leadsIn = (site: Pair['here']) => !split || site === here
    const expectSessions = async (count: number) => {
      if (!(name in indexless)) expect((await there.get(`/listed?user=${user}`)).body).toHaveLength(count)
    }
    const rotated = async (grace = GRACE) => cookieOf(await here.get(`/rotate?grace=${grace}`, cookie))!

    it('leads three requests with the old ID to the one new session, and sets no other cookie', async () => {
      const next = await rotated()
      const { id } = (await there.get('/read', next)).body
      const sites = [here, there, here]
      const late = await Promise.all(sites.map((site) => site.get('/read', cookie)))
      const gone = { id: expect.any(String), data: {}, isNew: true, code: 'ERR_SESSION_MISSING' }
      late.forEach(({ body, headers }, i) => {
        expect(body).toEqual(leadsIn(sites[i]!) ? { id, data: { user }, isNew: false, code: null } : gone)
        expect(headers['set-cookie']).toBeUndefined()
      })
      await expectSessions(1)
    })

    it('leads them there before the new ID is even sent', async () => {
      const rotation = await here.hold([`respond?grace=${GRACE}`], cookie)
      const { body, headers } = await (split ? here : there).get('/read', cookie)
      expect([body.data, headers['set-cookie']]).toEqual([{ user }, undefined])
      const [answer] = await rotation.letGo()
      expect((await there.get('/read', cookieOf(answer!))).body).toMatchObject({ id: body.id, data: { user } })
    })

    it('leads a request under way there that reloads its session', async () => {
      const late = await here.hold(['reload'], cookie)
      const next = await rotated()
      await here.get('/set?b=1', next)
      const { id } = (await here.get('/read', next)).body
      const [answer] = await late.letGo()
      expect(answer!.body).toEqual({ id, data: { user, b: '1' }, isNew: false, code: null })
      expect(answer!.headers['set-cookie']).toBeUndefined()
      expect((await here.get('/dropped')).body).toEqual(['ERR_SESSION_DESTROYED'])
      expect((await here.get('/read', next)).body.data).not.toHaveProperty('late')
    })

    it('lets no request reload a session without a grace', async () => {
      const late = await here.hold(['reload'], cookie)
      await rotated(0)
      const [answer] = await late.letGo()
      expect([answer!.status, answer!.body.code]).toEqual([500, 'ERR_SESSION_MISSING'])
    })

    it('ends the old ID at once without a grace', async () => {
      const next = await rotated(0)
      for (const site of [here, there]) {
        expect((await site.get('/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
        expect((await site.get('/read', next)).body.data).toEqual({ user })
      }
    })

    it('lets the old ID only read, and tells whoever wants more', async () => {
      const next = await rotated()
      const site = split ? here : there
      const written = await site.get('/set?late=1', cookie)
      expect([written.status, written.headers['set-cookie']]).toEqual([200, undefined])
      expect((await site.get('/dropped')).body).toEqual(['ERR_SESSION_DESTROYED'])
      for (const path of ['/save?late=1', '/count', '/rotate']) {
        const res = await site.get(path, cookie)
        expect([path, res.status, res.body.code]).toEqual([path, 500, 'ERR_SESSION_DESTROYED'])
        expect(res.headers['set-cookie']).toBeUndefined()
      }
      expect((await here.get('/read', next)).body.data).toEqual({ user })
      await expectSessions(1)
    })

    it('has rotated for those who come to it with the old ID', async () => {
      const next = await rotated()
      const late = await (split ? here : there).get(`/rotate?grace=${GRACE}`, cookie)
      expect([late.status, late.headers['set-cookie']]).toEqual([200, undefined])
      expect((await here.get('/read', next)).body.data).toEqual({ user })
      await expectSessions(1)
    })

    it('ends the session where the old ID logs out', async () => {
      const next = await rotated()
      expect((await (split ? here : there).get('/logout', cookie)).body).toBe('done')
      for (const each of [cookie, next]) {
        expect((await here.get('/read', each)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
      }
      await expectSessions(0)
    })

    it('ends the session where the old ID logs in as somebody else, who gets one of its own', async () => {
      const next = await rotated()
      const other = cookieOf(await (split ? here : there).get(`/login?user=other-${user}`, cookie))
      expect((await here.get('/read', other)).body).toMatchObject({ data: { user: `other-${user}` }, isNew: false })
      for (const each of [cookie, next]) {
        expect((await here.get('/read', each)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
      }
    })

    it('makes one session of several rotations at once, and keeps what each has written', async () => {
      const [both, one] = await Promise.all([
        here.hold([`rotate?grace=${GRACE}&key=a`, `rotate?grace=${GRACE}&key=b`], cookie),
        there === here ? undefined : there.hold([`rotate?grace=${GRACE}&key=c`], cookie)
      ])
      const answers = (await Promise.all([both.letGo(), one?.letGo() ?? []])).flat()
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      // A process that was not first, and knows nothing of the new session, sends no cookie in the place of its own.
      const cookies = answers.map((answer) => cookieOf(answer)).filter((each) => !split || each !== undefined)
      const seen = await Promise.all(cookies.map((each) => there.get('/read', each)))
      expect(new Set(seen.map(({ body }) => body.id)).size).toBe(1)
      expect(seen[0]!.body.data).toMatchObject({ user })
      if (split) return
      const keys = Object.fromEntries(answers.map((_, i) => ['abc'[i], true]))
      expect(seen.at(-1)!.body.data).toEqual({ user, ...keys })
      expect((await here.get('/read', cookie)).body.data).toEqual({ user, ...keys })
      await expectSessions(1)
    })

    if (!split) {
      it.each([GRACE, 0])('takes along what others write while the request runs (grace %d)', async (grace) => {
        const late = await here.hold([`rotate?grace=${grace}&key=a`], cookie)
        await there.get('/set?b=1', cookie)
        const [answer] = await late.letGo()
        expect((await there.get('/read', cookieOf(answer!))).body.data).toEqual({ user, a: true, b: '1' })
        await expectSessions(1)
      })
    }

    it('carries nothing on when somebody logged out meanwhile', async () => {
      const late = await here.hold([`rotate?grace=${GRACE}&key=a`], cookie)
      await there.get('/logout', cookie)
      const [answer] = await late.letGo()
      expect(answer!.status).toBe(200)
      expect((await there.get('/read', cookieOf(answer!))).body).toMatchObject({ data: {}, isNew: false })
      expect((await there.get('/read', cookie)).body.code).toBe('ERR_SESSION_MISSING')
      await expectSessions(0)
    })

    if (name.endsWith('one process')) {
      it('ends the old ID when the grace is over, however often it was used', async () => {
        const clock = new Clock(Date.now())
        try {
          cookie = cookieOf(await here.get(`/set?user=${user}`))!
          const next = await rotated()
          for (let i = 0; i < 4; i++) {
            clock.forward(GRACE / 4 - 1)
            expect((await here.get('/read', cookie)).body.data).toEqual({ user })
          }
          clock.forward(4)
          expect((await here.get('/read', cookie)).body).toMatchObject({ data: {}, code: 'ERR_SESSION_MISSING' })
          expect((await here.get('/read', next)).body.data).toEqual({ user })
        } finally {
          clock.restore()
        }
      })
    }
  })
}
