import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { POWERS, type Powers } from '../../lib/store/contract'
import { OptionError } from '../../lib/base/errors'
import { encodeRecord, META } from '../../lib/record/record'
import { Store } from '../../lib/store/store'
import { FileStore, type FileStoreOptions } from '../../lib/stores/file/file'
import { hashOf } from '../../lib/stores/file/folder'
import { Clock } from '../helpers/clock'
import { TestFolder } from '../helpers/folder'
import { recordedTimers } from '../helpers/timers'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const COOKIE = '{"originalMaxAge":null,"expires":null,"path":"/"}'

let clock: Clock
let folder: TestFolder
let stores: FileStore[]

beforeEach(() => {
  clock = new Clock()
  folder = new TestFolder()
  stores = []
})

afterEach(async () => {
  jest.restoreAllMocks()
  for (const store of stores) await store.close()
  folder.remove()
})

function open(options: Partial<FileStoreOptions> = {}): FileStore {
  const store = new FileStore({ path: folder.at('s'), ...options })
  stores.push(store)
  return store
}
const powersOf = (store: FileStore): Powers & Required<Pick<Powers, 'list' | 'lock'>> => store[POWERS] as never
const record = (data: object, expires: number | null = null) => ({
  cookie: { originalMaxAge: null, expires: expires === null ? null : new Date(expires), path: '/' },
  ...data
})
const text = (data: object, user?: string) =>
  encodeRecord(COOKIE, { u: clock.now, c: clock.now, ...(user && { i: user }) }, JSON.stringify(data))
const life = (span: number | null = HOUR) => ({ usedAt: clock.now, expiresAt: span === null ? null : clock.now + span })
const placeOf = (id: string) => folder.at('s', 'records', hashOf(id).slice(0, 2), hashOf(id).slice(2))

describe('FileStore', () => {
  describe('options', () => {
    it.each([
      [undefined],
      [{}],
      [{ path: '' }],
      [{ path: 7 }],
      [{ path: 'x', ttl: 0 }],
      [{ path: 'x', ttl: NaN }],
      [{ path: 'x', sweepEvery: 0 }],
      [{ path: 'x', sweepEvery: 2 ** 31 }],
      [{ path: 'x', serializer: { parse: JSON.parse } }]
    ])('refuses %j', (options) => {
      expect(() => new FileStore(options as never)).toThrow(OptionError)
    })

    it('touches no disk before it is used', async () => {
      open()
      expect(folder.files()).toEqual([])
      await expect(fs.stat(folder.at('s'))).rejects.toThrow('ENOENT')
    })

    it('needs its folder alone where Node.js asks for permissions', async () => {
      // FileHandle.utimes() is refused there, and since Node.js 24.22 sync(): `durable` cannot be had.
      const flag = process.allowedNodeEnvironmentFlags.has('--permission')
        ? '--permission'
        : '--experimental-permission'
      const program = `
        const { FileStore } = require(${JSON.stringify(path.resolve(__dirname, '../../dist'))})
        const store = new FileStore({ path: ${JSON.stringify(folder.at('s'))} })
        const session = { cookie: { originalMaxAge: null, expires: null, path: '/' }, n: 1 }
        ;(async () => {
          for (const id of ['a', 'b', 'c']) await store.set(id, session)
          await store.set('a', { ...session, n: 2 })
          await store.touch('a', session)
          await store.destroy('b')
          const [a, length] = [await store.get('a'), await store.length()]
          await store.clear()
          console.log(a.n, length, await store.length())
        })()`
      const may = ['--allow-fs-read=*', `--allow-fs-write=${folder.path}`]
      const said = execFileSync(process.execPath, ['--no-warnings', flag, ...may, '-e', program], { encoding: 'utf8' })
      expect(said).toBe('2 2 0\n')
    })

    it('may be logged without a word about sessions', async () => {
      const store = open()
      await store.set('secret-id', record({ n: 1 }))
      expect(require('node:util').inspect(store, { depth: 9 })).not.toContain('secret-id')
    })
  })

  describe('verbs without a callback', () => {
    it('answer by promise', async () => {
      const store = open()
      expect(store).toBeInstanceOf(Store)
      expect(await store.get('a')).toBeNull()
      await store.set('a', record({ n: 1 }))
      await store.set('b', record({ n: 2 }))
      expect(await store.get('a')).toEqual({ cookie: { originalMaxAge: null, expires: null, path: '/' }, n: 1 })
      expect((await store.ids())!.sort()).toEqual(['a', 'b'])
      expect(await store.length()).toBe(2)
      const all = (await store.all())!
      expect(Object.getPrototypeOf(all)).toBeNull()
      expect(all.b).toMatchObject({ n: 2 })
      await store.destroy('a')
      await store.destroy('a')
      expect(await store.get('a')).toBeNull()
      await store.clear()
      expect(await store.length()).toBe(0)
      expect(folder.files('s', 'records')).toEqual([])
    })
  })

  it('is cleared beside writers that never pause', async () => {
    const [store, other] = [open(), open()]
    await Promise.all(Array.from({ length: 1000 }, (_, i) => store.set(`old${i}`, record({}))))
    let written = 0
    let isCleared = false
    const writers = Array.from({ length: 8 }, async (_, i) => {
      while (!isCleared && written < 5000) await other.set(`new${i}-${written++}`, record({}))
    })
    await store.clear()
    isCleared = true
    await Promise.all(writers)
    expect(written).toBeLessThan(5000)
    expect(await store.get('old1')).toBeNull()
  })

  describe('expiry', () => {
    it('follows cookie.expires, as a date or as text', async () => {
      const store = open()
      await store.set('a', record({}, clock.now + MINUTE))
      await store.set('b', JSON.parse(JSON.stringify(record({}, clock.now + 2 * MINUTE))))
      clock.forward(MINUTE)
      expect(await store.get('a')).toBeNull()
      expect(await store.ids()).toEqual(['b'])
      clock.forward(MINUTE)
      expect(await store.get('b')).toBeNull()
      expect(await store.length()).toBe(0)
    })

    it.each([
      ['a day', {}, DAY],
      ['ttl', { ttl: MINUTE }, MINUTE]
    ])('is %s where the cookie names none', async (_, options, span) => {
      const store = open(options)
      await store.set('a', record({}))
      clock.forward(span - 1)
      expect(await store.get('a')).not.toBeNull()
      clock.forward(1)
      expect(await store.get('a')).toBeNull()
    })

    it('removes what is set with a time that is over', async () => {
      const store = open()
      await store.set('a', record({}))
      await store.set('a', record({}, clock.now))
      expect(await store.get('a')).toBeNull()
      expect(folder.files('s', 'records')).toEqual([])
    })

    it('touch replaces the cookie and its expiry, not the data', async () => {
      const store = open()
      await store.set('a', record({ n: 1 }, clock.now + MINUTE))
      await store.touch('a', record({ n: 2 }, clock.now + HOUR))
      await store.touch('never', record({}, clock.now + HOUR))
      clock.forward(MINUTE)
      expect(await store.get('a')).toMatchObject({
        n: 1,
        cookie: { expires: new Date(clock.now + HOUR - MINUTE).toISOString() }
      })
      expect(await store.ids()).toEqual(['a'])
    })

    it('touch leaves the deadline of our own records where the cookie has none', async () => {
      const store = open()
      await powersOf(store).write({ id: 'a', text: text({ n: 1 }), expected: null, life: life(MINUTE) })
      await store.touch('a', record({}))
      clock.forward(MINUTE)
      expect(await store.get('a')).toBeNull()
    })

    it('survives a restart', async () => {
      await open().set('a', record({ n: 1 }, clock.now + MINUTE))
      const again = open()
      expect(await again.get('a')).toMatchObject({ n: 1 })
      clock.forward(MINUTE)
      expect(await again.get('a')).toBeNull()
    })
  })

  describe('conditional writes', () => {
    it('replace only what is expected, and tell what there is instead', async () => {
      const powers = powersOf(open())
      const [one, two, three] = [text({ n: 1 }), text({ n: 2 }), text({ n: 3 })]
      await powers.write({ id: 'a', text: one, expected: null, life: life() })
      expect(await powers.write({ id: 'a', text: two, expected: one, life: life() })).toBe(true)
      expect(await powers.write({ id: 'a', text: three, expected: one, life: life() })).toEqual({
        text: two,
        ...life()
      })
      expect(await powers.read('a')).toEqual({ text: two, ...life() })
    })

    it('never bring back what is destroyed or expired', async () => {
      const powers = powersOf(open())
      const one = text({ n: 1 })
      await powers.write({ id: 'a', text: one, expected: null, life: life() })
      expect(await powers.remove('a')).toBe(true)
      expect(await powers.remove('a')).toBe(false)
      expect(await powers.write({ id: 'a', text: text({ n: 2 }), expected: one, life: life() })).toBeNull()
      await powers.write({ id: 'b', text: one, expected: null, life: life(MINUTE) })
      clock.forward(MINUTE)
      expect(await powers.write({ id: 'b', text: text({ n: 2 }), expected: one, life: life() })).toBeNull()
      expect(await powers.extend('b', life())).toBe(false)
      expect(await powers.remove('b')).toBe(false)
      expect(folder.files('s', 'records')).toEqual([])
    })

    it('let one of many win, each time', async () => {
      const powers = [powersOf(open()), powersOf(open())]
      const one = text({ n: 0 })
      await powers[0]!.write({ id: 'a', text: one, expected: null, life: life() })
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          powers[i % 2]!.write({ id: 'a', text: text({ n: i + 1 }), expected: one, life: life() })
        )
      )
      expect(answers.filter((each) => each === true)).toHaveLength(1)
    })

    it('do not mix with a removal: whatever comes first, the session is gone in the end', async () => {
      const [first, second] = [powersOf(open()), powersOf(open())]
      for (let round = 0; round < 30; round++) {
        const one = text({ n: 0 })
        await first.write({ id: 'a', text: one, expected: null, life: life() })
        await Promise.all([
          second.remove('a'),
          first.write({ id: 'a', text: text({ n: 1 }), expected: one, life: life() })
        ])
        expect(await first.read('a')).toBeNull()
      }
    })
  })

  describe('extension', () => {
    it('costs no new file, only a time', async () => {
      const store = open()
      await powersOf(store).write({ id: 'a', text: text({ n: 1 }), expected: null, life: life(HOUR) })
      const before = statSync(placeOf('a'))
      clock.forward(MINUTE)
      expect(await powersOf(store).extend('a', life(HOUR))).toBe(true)
      expect(statSync(placeOf('a')).ino).toBe(before.ino)
      expect(await powersOf(store).read('a')).toMatchObject({
        text: text({ n: 1 }).replace(/"[uc]":\d+/g, (at) => at.replace(/\d+/, String(clock.now - MINUTE))),
        ...life(HOUR)
      })
    })

    it('takes any life, and answers false for what is gone', async () => {
      const powers = powersOf(open())
      await powers.write({ id: 'a', text: text({}), expected: null, life: life(HOUR) })
      for (const span of [HOUR, 10, DAY, null, 5 * MINUTE, null]) {
        clock.forward(3)
        expect(await powers.extend('a', life(span))).toBe(true)
        expect(await powers.read('a')).toMatchObject(life(span))
      }
      expect(await powers.extend('b', life())).toBe(false)
    })

    it('replaces the cookie if told to', async () => {
      const store = open()
      await powersOf(store).write({ id: 'a', text: text({ n: 1 }), expected: null, life: life() })
      await powersOf(store).extend('a', { ...life(DAY), cookieText: '{"path":"/new"}' })
      expect(await store.get('a')).toMatchObject({ cookie: { path: '/new' }, n: 1 })
    })

    it('shows in what get answers', async () => {
      const store = open()
      await powersOf(store).write({ id: 'a', text: text({}), expected: null, life: life() })
      clock.forward(MINUTE)
      await powersOf(store).extend('a', life())
      expect((await store.get('a'))![META]).toMatchObject({ u: clock.now, c: clock.now - MINUTE })
    })
  })

  describe('index of users', () => {
    const listed = async (store: FileStore, user: string) =>
      (await powersOf(store).list(user)).map(({ id }) => id).sort()
    const add = (store: FileStore, id: string, user: string, span = HOUR) =>
      powersOf(store).write({
        id,
        text: text({}, user),
        expected: null,
        life: life(span),
        user: { from: undefined, to: user }
      })

    it('is exact after expiry, destruction and a switch of user', async () => {
      const store = open()
      for (const id of ['a', 'b', 'c', 'd']) await add(store, id, 'ann', id === 'a' ? MINUTE : HOUR)
      await add(store, 'e', 'bob')
      expect(await listed(store, 'ann')).toEqual(['a', 'b', 'c', 'd'])
      clock.forward(MINUTE)
      await powersOf(store).remove('b')
      const kept = (await powersOf(store).read('c'))!.text
      await powersOf(store).write({
        id: 'c',
        text: text({}, 'bob'),
        expected: kept,
        life: life(),
        user: { from: 'ann', to: 'bob' }
      })
      expect(await listed(store, 'ann')).toEqual(['d'])
      expect(await listed(store, 'bob')).toEqual(['c', 'e'])
      expect(folder.files('s', 'users', hashOf('ann'))).toEqual([hashOf('d')])
      expect(await listed(store, 'nobody')).toEqual([])
    })

    it('gives what read gives', async () => {
      const store = open()
      await add(store, 'a', 'ann')
      expect(await powersOf(store).list('ann')).toEqual([{ id: 'a', text: text({}, 'ann'), ...life() }])
    })

    it('keeps the user through writes that do not mention one, and forgets a user who left', async () => {
      const store = open()
      await add(store, 'a', 'ann')
      const next = text({ n: 1 }, 'ann')
      await powersOf(store).write({ id: 'a', text: next, expected: text({}, 'ann'), life: life() })
      expect(await listed(store, 'ann')).toEqual(['a'])
      await powersOf(store).write({
        id: 'a',
        text: text({ n: 2 }),
        expected: next,
        life: life(),
        user: { from: 'ann', to: undefined }
      })
      expect(await listed(store, 'ann')).toEqual([])
      expect(folder.files('s', 'users')).toEqual([])
    })

    it('follows records that the plain verb sets', async () => {
      const store = open()
      await store.set('a', JSON.parse(text({}, 'ann')))
      expect(await listed(store, 'ann')).toEqual(['a'])
      await store.set('a', record({}))
      expect(await listed(store, 'ann')).toEqual([])
    })

    it('removes the folder of a user without sessions, also while sessions come and go', async () => {
      const store = open()
      await Promise.all(
        Array.from({ length: 60 }, async (_, i) => {
          await add(store, `id${i}`, 'ann')
          if (i % 2) await powersOf(store).remove(`id${i}`)
        })
      )
      expect(await listed(store, 'ann')).toHaveLength(30)
      for (let i = 0; i < 60; i += 2) await powersOf(store).remove(`id${i}`)
      await expect(fs.readdir(folder.at('s', 'users'))).resolves.toEqual([])
    })

    it('is swept: entries of expired sessions and of sessions that are no more', async () => {
      const store = open()
      await add(store, 'a', 'ann', MINUTE)
      await add(store, 'b', 'bob')
      await fs.unlink(placeOf('b'))
      clock.forward(MINUTE)
      await store.sweep()
      await expect(fs.readdir(folder.at('s', 'users'))).resolves.toEqual([])
    })
  })

  describe('locks', () => {
    it('exclude others until released', async () => {
      const [one, two] = [powersOf(open()).lock, powersOf(open()).lock]
      expect(await one.acquire('a', 'x', MINUTE)).toBe(true)
      expect(await two.acquire('a', 'y', MINUTE)).toBe(false)
      expect(await two.acquire('b', 'y', MINUTE)).toBe(true)
      await two.release('a', 'y')
      expect(await two.acquire('a', 'y', MINUTE)).toBe(false)
      await one.release('a', 'x')
      expect(await two.acquire('a', 'y', MINUTE)).toBe(true)
      expect(await one.renew('a', 'x', MINUTE)).toBe(false)
    })

    it('let one of many in', async () => {
      const locks = [powersOf(open()).lock, powersOf(open()).lock]
      const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => locks[i % 2]!.acquire('a', `${i}`, MINUTE)))
      expect(taken.filter(Boolean)).toHaveLength(1)
    })

    it('end after ttl unless renewed', async () => {
      const { lock } = powersOf(open())
      await lock.acquire('a', 'x', MINUTE)
      clock.forward(MINUTE - 1)
      expect(await lock.renew('a', 'x', MINUTE)).toBe(true)
      clock.forward(MINUTE - 1)
      expect(await lock.acquire('a', 'y', MINUTE)).toBe(false)
      clock.forward(1)
      expect(await lock.renew('a', 'x', MINUTE)).toBe(false)
      expect(await lock.acquire('a', 'y', MINUTE)).toBe(true)
    })
  })

  describe('sweeping', () => {
    it('removes what is expired and leaves the rest', async () => {
      const store = open()
      await store.set('a', record({}, clock.now + MINUTE))
      await store.set('b', record({}, clock.now + HOUR))
      await powersOf(store).lock.acquire('b', 'x', MINUTE)
      clock.forward(MINUTE)
      expect(store.lastCleanup).toBeUndefined()
      await store.sweep()
      expect(store.lastCleanup).toBe(clock.now)
      expect(folder.files('s', 'records')).toHaveLength(1)
      expect(folder.files('s', 'leases')).toEqual([])
      expect(await store.ids()).toEqual(['b'])
    })

    it('works in several stores at once', async () => {
      const both = [open(), open()]
      for (let i = 0; i < 50; i++) await both[i % 2]!.set(`id${i}`, record({}, clock.now + (i < 25 ? MINUTE : HOUR)))
      clock.forward(MINUTE)
      await Promise.all(both.map((store) => store.sweep()))
      expect(folder.files('s', 'records')).toHaveLength(25)
      expect(folder.files('s', 'claims')).toEqual([])
      expect(folder.files('s', 'temp')).toEqual([])
    })

    it('loses no write to a process whose clock is ahead of the disk', async () => {
      const store = open()
      clock = new Clock(new Date().getTime() + HOUR)
      const { lutimes } = fs
      jest.spyOn(fs, 'lutimes').mockImplementationOnce(async (...args) => {
        await open().sweep()
        return lutimes(...args)
      })
      await store.set('a', record({}))
      expect(folder.files('s', 'temp')).toEqual([])
      expect(await store.ids()).toEqual(['a'])
    })

    it('runs by itself, and is left to another process that has just done it', async () => {
      clock.restore()
      const store = open({ sweepEvery: 5 })
      await store.set('a', record({}, Date.now() + 1))
      while (store.lastCleanup === undefined || folder.files('s', 'records').length > 0) await new Promise(setImmediate)
      const long = 1_000_000_000
      await store.close()
      utimesSync(folder.at('s', 'swept'), long, long)
      jest.spyOn(Date, 'now').mockReturnValue(long * 1000 + 1)
      const other = open({ sweepEvery: 5 })
      while (other.lastCleanup === undefined) await new Promise(setImmediate)
      expect(other.lastCleanup).toBe(long * 1000)
    })

    it('keeps no process alive, and stops with close', async () => {
      const { timers } = recordedTimers()
      const store = open()
      expect(timers).toHaveLength(1)
      await store.set('a', record({}))
      expect(timers.some((timer) => timer.hasRef())).toBe(false)
      const cleared = jest.spyOn(globalThis, 'clearTimeout')
      await store.close()
      expect(cleared).toHaveBeenCalledWith(timers[0])
      expect(await store.get('a')).not.toBeNull()
    })

    it('is closed once what was called before is done', async () => {
      const store = open()
      const changes = Promise.all([1, 2, 3].map((n) => store.set('a', record({ n }))))
      await store.close()
      const kept = readFileSync(placeOf('a'), 'utf8')
      await changes
      expect(kept).toContain('"n":3')
    })
  })

  it('keeps what a serializer makes, and shows text to the middleware', async () => {
    const serializer = {
      stringify: async (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64'),
      parse: (raw: string) => JSON.parse(Buffer.from(raw, 'base64').toString())
    }
    const store = open({ serializer })
    const one = text({ word: 'readable' })
    expect(await powersOf(store).write({ id: 'a', text: one, expected: null, life: life() })).toBe(true)
    expect(await powersOf(store).read('a')).toEqual({ text: one, ...life() })
    expect(await powersOf(store).write({ id: 'a', text: text({ n: 2 }), expected: one, life: life() })).toBe(true)
    expect(await powersOf(store).extend('a', life(DAY))).toBe(true)
    expect(await store.get('a')).toMatchObject({ n: 2 })
    expect((await fs.readFile(placeOf('a'), 'utf8')).split('\n')[1]).toMatch(/^[A-Za-z0-9+/=]+$/)
  })

  it('leaves alone what the serializer cannot read', async () => {
    const fail = () => {
      throw new Error('wrong key')
    }
    await open().set('a', record({ n: 1 }))
    const store = open({ serializer: { parse: fail, stringify: JSON.stringify } })
    expect(await store.get('a')).toBeNull()
    expect(await powersOf(store).read('a')).toMatchObject({ text: '' })
    expect(await powersOf(store).extend('a', life(DAY))).toBe(true)
    expect(await open().get('a')).toMatchObject({ n: 1 })
  })

  it('asks the disk to keep what is durable before it confirms', async () => {
    const probe = await fs.open(folder.at('probe'), 'w')
    const sync = jest.spyOn(Object.getPrototypeOf(probe), 'sync')
    await probe.close()
    await open().set('a', record({}))
    expect(sync).not.toHaveBeenCalled()
    await open({ durable: true }).set('a', record({}))
    expect(sync).toHaveBeenCalledTimes(2)
  })

  it('goes on with what 1.20.0 has left: sessions, users, locks', async () => {
    const one = text({ n: 1 }, 'ann')
    const plant = async (content: string, ...names: string[]) => {
      await fs.mkdir(folder.at('s', ...names.slice(0, -1)), { recursive: true })
      await fs.writeFile(folder.at('s', ...names), content)
      utimesSync(folder.at('s', ...names), clock.now / 1000, clock.now / 1000)
    }
    for (const id of ['a', 'b']) {
      const header = { v: 1, id, span: HOUR, until: null, bytes: one.length, user: 'ann' }
      await plant(`${JSON.stringify(header)}\n${one}`, 'records', hashOf(id).slice(0, 2), hashOf(id).slice(2))
      await plant('', 'users', hashOf('ann'), hashOf(id))
    }
    const holder = `00000000.1.1.${'0'.repeat(16)}`
    await plant(holder, 'holders', holder)
    await plant(holder, 'locks', hashOf('a'))
    await plant(JSON.stringify({ token: 'x', holder }), 'leases', hashOf('a'))

    const powers = powersOf(open())
    const ids = async () => (await powers.list('ann')).map(({ id }) => id).sort()
    expect(await powers.read('a')).toEqual({ text: one, ...life() })
    expect(await ids()).toEqual(['a', 'b'])
    const two = text({ n: 2 }, 'ann')
    expect(await powers.write({ id: 'a', text: two, expected: text({ n: 0 }), life: life() })).toMatchObject({
      text: one
    })
    expect(await powers.write({ id: 'a', text: two, expected: one, life: life() })).toBe(true)
    expect(await powers.read('a')).toEqual({ text: two, ...life() })
    expect(await powers.extend('b', life(DAY))).toBe(true)
    expect(await powers.remove('b')).toBe(true)
    expect(await ids()).toEqual(['a'])
    expect(await powers.lock.acquire('a', 'y', MINUTE)).toBe(true)
    expect(await powers.lock.acquire('a', 'z', MINUTE)).toBe(false)
  })

  it('counts only its own files as sessions', async () => {
    const store = open()
    await store.set('a', record({}))
    writeFileSync(folder.at('s', 'records', 'README'), 'not a session')
    writeFileSync(`${placeOf('a')}.bak`, 'not a session')
    await store.sweep()
    expect(folder.files('s', 'records')).toHaveLength(3)
    expect(await store.ids()).toEqual(['a'])
  })
})
