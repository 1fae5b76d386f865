import { inspect } from 'node:util'
import request from 'supertest'
import { gob, gorillaSessions, securecookie } from '../lib/gorilla'
import { decodeGob } from '../lib/gorilla/codec/decode'
import { encodeGob } from '../lib/gorilla/codec/encode'
import { decodeKept, encodeKept } from '../lib/gorilla/codec/kept'
import { VALUES } from '../lib/gorilla/codec/types'
import { dataOf, valuesOf } from '../lib/gorilla/codec/values'
import { checkPair, openBytes } from '../lib/gorilla/securecookie'
import { infoOf, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'
import { GoPeer } from './helpers/go'
import { facts, formatOf, keyPairs, shown, startBacking, type Backing } from './helpers/go-facts'

const { name } = facts
const DAY = 24 * 60 * 60

let go: GoPeer
beforeAll(() => {
  go = new GoPeer()
})
afterAll(() => go?.stop())
afterEach(() => jest.restoreAllMocks())

const setClock = (seconds: number) => jest.spyOn(Date, 'now').mockReturnValue(seconds * 1000)
const goSees = async (before: Buffer, after: Buffer) => {
  const request = { op: 'gobs', bytes: before.toString('base64'), later: after.toString('base64') }
  const { differs, error } = await go.ask(request)
  expect(error).toBeUndefined()
  return differs ?? []
}

describe.each(['go119', 'go124'])('gob of %s', (version) => {
  it.each(Object.keys(facts.contents))('is read, and given back as it was: %s', async (content) => {
    const bytes = Buffer.from(facts.gob[version][content], 'base64')
    const { node, definitions } = decodeGob(bytes, VALUES)
    const { json, hint } = dataOf(node, new Map(), definitions)
    expect({ ...json }).toEqual(shown(facts.contents[content]))
    const kept = decodeKept(encodeKept({ hint, definitions }))
    const values = valuesOf(JSON.parse(JSON.stringify(json)), kept?.hint, new Map(), kept?.definitions ?? new Map())
    expect(await goSees(bytes, encodeGob(values, kept?.definitions))).toEqual([])
  })
})

const backings = new Map<string, Promise<Backing>>()
const backingOf = (store: string) => {
  const kind = formatOf(store).replace(/-.*/, '').replace('redisstore', 'redistore')
  if (!backings.has(kind)) backings.set(kind, startBacking(formatOf(store)))
  return backings.get(kind)!
}
afterAll(async () => {
  for (const backing of backings.values()) await (await backing).stop()
})

type Entry = Record<string, any>
const valueIn = (line: string) => /^sname=([^;]*)/.exec(line)![1]!
const cookieIn = ({ cookie, setCookie }: Entry): string => cookie ?? valueIn(setCookie)
const rawIn = ({ value, text }: Entry) => (value === undefined ? Buffer.from(text) : Buffer.from(value, 'base64'))

async function appFor(store: Entry, set = 'A', more = {}) {
  const format = formatOf(store.store)
  const backing = format === 'cookie' ? undefined : await backingOf(store.store)
  const prefix = store.keyPrefix === undefined || format === 'filesystem' ? {} : { keyPrefix: store.keyPrefix }
  const options = { format, keyPairs: keyPairs(set), ...prefix, ...more }
  const app = appWith(sessions({ secret, name, absolute: null, store: gorillaSessions(backing?.client, options) }), {
    '/read': (req, res) => {
      const { cookie: _cookie, ...data } = req.session
      res.json({
        data,
        isNew: req.session.isNew,
        code: infoOf(req.session).error?.code,
        why: req.query.why && String(infoOf(req.session).error?.cause),
        logged: req.query.why && inspect(infoOf(req.session).error)
      })
    },
    '/set': (req, res) => {
      req.session.v = 'x'
      res.send('set')
    },
    '/rotate': async (req, res) => {
      await req.session.regenerate({ keep: true })
      res.send('rotated')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    }
  })
  app.set('trust proxy', 1)
  const ask = (path: string, cookie: string) => request(app).get(path).set('Cookie', `${name}=${cookie}`)
  return { ask, backing, format, read: async (cookie: string) => (await ask('/read', cookie)).body }
}

const pgKey = (store: Entry, id: string) => (store.store === 'pgstore' ? id : `${store.keyPrefix}${id}`)

// What Go's program makes of a record of ours: gob, or the same out of its seal.
function gobOf(format: string, set: string, raw: Buffer): Buffer {
  if (!['cookie', 'filesystem', 'pgstore', 'memcache'].includes(format)) return raw
  const pairs = keyPairs(set).map(([hashKey, blockKey]) => checkPair({ hashKey, blockKey, maxLength: null }))
  const opened = openBytes(pairs, name, raw.toString())
  expect(opened).toBeInstanceOf(Object)
  return (opened as { bytes: Buffer }).bytes
}

const stores: [string, string, Entry][] = facts.stores.map((store: Entry) => [store.store, store.go, store])
describe.each(stores)('%s of %s', (title: string, version: string, store: Entry) => {
  const isCarrier = title === 'CookieStore'
  const isBare = title === 'redisstore'
  const records = (store.records as Entry[]).filter(({ saveErr }) => saveErr === undefined)
  const user = records[0]!
  const storedOf = (record: Entry) => (record.stored === 'as user' ? user.stored : record.stored)

  async function put(record: Entry, set = 'A', more = {}) {
    setClock(record.at)
    const app = await appFor(store, set, more)
    if (title === 'pgstore') await emptied(app.backing!, record.id)
    if (!isCarrier) await app.backing!.put(pgKey(store, record.id), rawIn(storedOf(record)), storedOf(record))
    return app
  }

  it.each(records.map((record) => [record.content, record]))('is read and given back: %s', async (content, record) => {
    const { ask, read, backing, format } = await put(record)
    const contents = (record.readsBackAs && facts[record.readsBackAs][content]) || facts.contents[content]
    const { data, isNew, code } = await read(cookieIn(record))
    expect({ data, isNew, code }).toEqual({ data: shown(contents), isNew: false, code: undefined })
    const before = isCarrier ? Buffer.from(cookieIn(record)) : rawIn(storedOf(record))
    for (const path of ['/set', '/rotate']) {
      const res = await ask(path, cookieIn(record)).expect(200)
      const sent = cookieOf(res, name)
      expect(path === '/rotate' || isCarrier ? sent : cookieIn(record)).toBeDefined()
      const id = path === '/rotate' && !isCarrier ? openId(sent!.slice(name.length + 1)) : record.id
      const after = isCarrier ? Buffer.from(sent!.slice(name.length + 1)) : (await backing!.raw(pgKey(store, id)))!
      if (format.endsWith('json')) {
        const { v, silverback_meta: _meta, ...rest } = JSON.parse(after.toString())
        const was = JSON.parse(before.toString())
        expect({ ...rest, ...('v' in was && { v: was.v }) }).toEqual(was)
        expect(v).toBe('x')
      } else {
        const differences = await goSees(gobOf(format, 'A', before), gobOf(format, 'A', after))
        const expected = isCarrier && path === '/rotate' ? [] : ['string v is new']
        expect(differences).toEqual(path === '/rotate' && isCarrier ? expect.any(Array) : expected)
      }
      if (backing?.ttl !== undefined) expect(await backing.ttl(pgKey(store, id))).toBeGreaterThan(30 * DAY - 60)
    }
  })

  const openId = (value: string) => (isBare ? value : (gob.decode(openBytesOf(value), 'string') as string))
  const openBytesOf = (value: string) => {
    const pairs = keyPairs('A').map(([hashKey, blockKey]) => checkPair({ hashKey, blockKey }))
    return (openBytes(pairs, name, value) as { bytes: Buffer }).bytes
  }

  it('ends there when it ends here', async () => {
    const { ask, read, backing } = await put(user)
    await ask('/logout', cookieIn(user)).expect(200)
    if (!isCarrier) expect(await backing!.raw(pgKey(store, user.id))).toBeUndefined()
    expect(await read(cookieIn(user))).toMatchObject({ isNew: true, code: 'ERR_SESSION_MISSING' })
  })

  it('sends the attributes that Go sends, if told what they are', async () => {
    const { Path, MaxAge, Secure, HttpOnly, SameSite } = store.options
    const cookie = { path: Path, secure: Secure, httpOnly: HttpOnly, sameSite: SameSite === 4 ? 'none' : false }
    const { ask } = await put(user, 'A', { cookie, maxAge: MaxAge * 1000 })
    const res = await ask(isCarrier ? '/set' : '/rotate', cookieIn(user)).set('X-Forwarded-Proto', 'https')
    const [line] = (res.headers['set-cookie'] as unknown as string[]).slice(-1)
    const attributes = (text: string) =>
      text
        .split('; ')
        .slice(1)
        .filter((each) => !each.startsWith('Expires='))
        .sort()
    expect(attributes(line!)).toEqual(attributes(user.setCookie))
  })

  it('is refused with a cookie that was changed', async () => {
    const { read } = await put(user)
    const cookie = cookieIn(user)
    const at = isBare ? 0 : 60
    const changed = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1)
    const code = isBare ? 'ERR_SESSION_MISSING' : 'ERR_SESSION_SIGNATURE'
    expect(await read(changed)).toEqual({ data: {}, isNew: true, code })
  })

  if (!isCarrier) {
    it('begins anew under an ID of its own for a sound cookie without a record', async () => {
      setClock(user.at)
      const { ask, read, backing } = await appFor({ ...store, keyPrefix: store.keyPrefix && `${store.keyPrefix}x` })
      const unknown = await backing!.raw(pgKey(store, user.id))
      const absent = title === 'pgstore' || title === 'FilesystemStore' ? await emptied(backing!, user.id) : unknown
      expect(absent === undefined || unknown !== undefined).toBe(true)
      expect(await read(cookieIn(user))).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_MISSING' })
      const sent = cookieOf(await ask('/set', cookieIn(user)), name)!
      expect(openId(sent.slice(name.length + 1))).not.toBe(user.id)
      expect(openId(sent.slice(name.length + 1))).toMatch(isBare ? /^[A-Z2-7]{103}$/ : /^[A-Z2-7]{52}$/)
    })

    it('says of a broken record that it is one', async () => {
      const { ask, read, backing } = await put(user)
      if (title === 'pgstore') await emptied(backing!, user.id)
      await backing!.put(pgKey(store, user.id), Buffer.from('not a record'), { ttl: 60 })
      expect(await read(cookieIn(user))).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_CORRUPT' })
      const { why, logged } = (await ask('/read?why=1', cookieIn(user))).body
      expect(why).toMatch(/^SessionError: (?:The gob stream cannot be read|The record is no JSON|No pair of keyPairs)/)
      expect(logged).not.toContain('not a record')
    })
  }

  if (!isBare) {
    it('ends after 30 days, as its seal says', async () => {
      const { read } = await put(user)
      setClock(user.at + 29 * DAY)
      expect(await read(cookieIn(user))).toMatchObject({ isNew: false, data: { user: 'ann' } })
      setClock(user.at + 31 * DAY)
      expect(await read(cookieIn(user))).toEqual({ data: {}, isNew: true, code: 'ERR_SESSION_EXPIRED' })
    })

    it('is read without a block key', async () => {
      const record = store.noBlockKey
      const { read } = await put(record, 'hashOnly')
      expect(await read(cookieIn(record))).toMatchObject({ data: { user: 'ann' }, isNew: false })
    })

    it('moves to the newest of rotated keys', async () => {
      const record = store.rotation.withOldPairOnly
      const { read, ask, backing, format } = await put(record, 'rotated')
      expect((await read(cookieIn(record))).data).toEqual({ user: 'ann' })
      const sent = cookieOf(await ask('/set', cookieIn(record)), name)
      if (!isCarrier) gobOf(format, 'A', (await backing!.raw(pgKey(store, record.id)))!)
      else expect(openBytesOf(sent!.slice(name.length + 1))).toBeInstanceOf(Buffer)
      const { read: strange } = await appFor(store, 'A')
      expect(await strange(cookieIn(record))).toMatchObject({ isNew: true, code: 'ERR_SESSION_SIGNATURE' })
    })
  }

  it(`lives as long as Go gives it (${version})`, async () => {
    const { read } = await put(user)
    setClock(user.at + 2 * DAY)
    expect(await read(cookieIn(user))).toMatchObject({ isNew: false, data: { user: 'ann' } })
  })
})

async function emptied(backing: Backing, id: string): Promise<undefined> {
  const { client } = backing as { client: any }
  if (typeof client.query === 'function') await client.query('DELETE FROM http_sessions WHERE key = $1', [id])
  else await require('node:fs/promises').rm(`${client}/session_${id}`, { force: true })
  return undefined
}

describe('What was written without Go, and read by it', () => {
  const byHand: [string, string, Entry][] = facts.byHand.map((record: Entry) => [record.store, record.what, record])
  it.each(byHand)('%s: %s', async (title: string, _what: string, record: Entry) => {
    setClock(record.at)
    const store = {
      ...facts.stores.find((each: Entry) => each.store === title || each.store.startsWith(title.replace(/ \w+$/, ''))),
      store: title
    }
    const prefix = title.endsWith('json') && title.startsWith('redistore') ? 'json_' : store.keyPrefix
    const { read, backing } = await appFor(
      { ...store, keyPrefix: title.startsWith('memcache') ? 'hand_' : prefix },
      record.keys
    )
    const key = title.startsWith('memcache')
      ? `hand_${record.id}`
      : title === 'pgstore'
        ? record.id
        : `${prefix}${record.id}`
    if (record.id !== undefined)
      await backing!.put(key, rawIn(record), { ttl: 3600, modified_on: record.at, expires_on: record.at + 3600 })
    expect(await read(record.cookie)).toEqual({
      data: shown(facts.byHandContents[record.goReads]),
      isNew: false,
      code: undefined
    })
  })
})

it('opens and makes the same cookies by hand', () => {
  const [[hashKey, blockKey]] = keyPairs('A') as [[Buffer, Buffer]]
  const codec = securecookie({ hashKey, blockKey, maxAge: null })
  const record = facts.stores[0].records[0]
  expect(codec.decode(name, cookieIn(record), 'map[interface {}]interface {}')).toEqual(new Map([['user', 'ann']]))
})
