import '../helpers/quiet'
import { randomBytes } from 'node:crypto'
import session from '../../lib/index'
import { gorillaSessions } from '../../lib/gorilla'
import { MemcachedStore } from '../../lib/memcached'
import { PostgresStore } from '../../lib/postgres'
import { appWith, secret } from '../helpers/app'
import { basics, login, read, visit } from '../helpers/basics'
import { OWN_STORES } from '../helpers/own-stores'
import { ask } from '../helpers/store-contract'
import type { OpenStore } from '../helpers/npm-stores'
import { startPostgres } from '../helpers/servers'

/** What a `genid` of the drop-in door may answer; pairs that a store might take for one another stand together. */
const IDS: [what: string, id: string][] = [
  ['a letter', 'a'],
  ['the same in upper case', 'A'],
  ['with a blank behind', 'a '],
  ['with a blank in front', ' a'],
  ['with a NUL', 'a\0b'],
  ['with another behind it', 'a\0c'],
  ['of two lines', 'a\r\nb'],
  ['with an accent', '\u00e9'],
  ['with the same in two parts', 'e\u0301'],
  ['of an emoji', '\u{1f600}'],
  ['of another', '\u{1f601}'],
  ['of 10 kB', 'x'.repeat(10_000)],
  ['of 10 kB and one letter', `${'x'.repeat(10_000)}y`],
  ['of 10 kB at random', randomBytes(7500).toString('base64url')],
  ['up a folder', '..'],
  ['far up', '../../a/b'],
  ['of a pattern', 'a*'],
  ['of SQL', "'; --"],
  ['of a member', '__proto__']
]
const STORES = ['MemoryStore', 'FileStore', 'SqliteStore', 'PostgresStore', 'MysqlStore', 'MemcachedStore'].concat(
  Object.keys(OWN_STORES).filter((name) => name.startsWith('RedisStore on node-redis'))
)
const MORE: Record<string, () => Promise<OpenStore>> = {
  'MongoStore of documents on a double': OWN_STORES['MongoStore of documents on a double']!,
  'PostgresStore of jsonb': async () => {
    const server = await startPostgres()
    const pool = new (require('pg').Pool)({ host: '127.0.0.1', port: server.port, user: 'postgres' })
    await pool.query(
      'CREATE TABLE session (sid varchar PRIMARY KEY, sess jsonb NOT NULL, expire timestamp(6) NOT NULL)'
    )
    const store = new PostgresStore({ pool })
    const close = async () => {
      await store.close()
      await pool.end()
      await server.stop()
    }
    return { store, spoil: () => undefined, close }
  }
}
/** Those that a database cannot keep, and what is said of them. */
const REFUSED: Record<string, Record<string, string>> = {
  PostgresStore: {
    'with a NUL': 'ERR_SESSION_OPTION',
    'with another behind it': 'ERR_SESSION_OPTION',
    'of 10 kB at random': 'ERR_SESSION_OPTION'
  },
  MysqlStore: {
    'with a blank behind': 'ERR_SESSION_OPTION',
    'of 10 kB': 'ERR_SESSION_OPTION',
    'of 10 kB and one letter': 'ERR_SESSION_OPTION',
    'of 10 kB at random': 'ERR_SESSION_OPTION'
  }
}
const cookie = { originalMaxAge: null, expires: null, path: '/' }

const open: Record<string, OpenStore> = {}
beforeAll(async () => {
  const openers = [...STORES.map((name) => [name, OWN_STORES[name]!] as const), ...Object.entries(MORE)]
  await Promise.all(openers.map(async ([name, opener]) => (open[name] = await opener())))
})
afterAll(() => Promise.all(Object.values(open).map(({ close }) => close())))

it.each(STORES)('odd session IDs are told from one another, or refused by name: %s', async (name) => {
  const { store } = open[name]!
  const refused: Record<string, string> = {}
  for (const [what, id] of IDS) {
    await ask(store, 'set', id, { cookie, what }).catch(({ code }) => (refused[what] = code))
  }
  expect(refused).toEqual(REFUSED[name] ?? {})
  for (const [what, id] of IDS) {
    const found = await ask(store, 'get', id)
    expect([what, found?.what]).toEqual([what, what in refused ? undefined : what])
  }
  for (const [, id] of IDS) await ask(store, 'destroy', id)
  for (const [, id] of IDS) expect(await ask(store, 'get', id)).toBeFalsy()
})

it.each([
  ['PostgresStore', 'a\0b'],
  ['MysqlStore', 'a '],
  ['MysqlStore', 'x'.repeat(129)]
])('an ID that %s cannot keep is no outage', async (name, id) => {
  const genid = () => id
  const options = { secret, resave: false, saveUninitialized: false, genid }
  const elsewhere = await login(appWith(session(options), basics))
  const app = appWith(session({ ...options, store: open[name]!.store as never }), basics)
  expect((await read(app, elsewhere)).status).toBe(200)
  const { status, body } = await visit(app, '/write?user=u')
  expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
})

/** What may come from the body of a request. */
const KEYS = ['a.b', '.', '$set', '$ref', '', 'a\0b', '\ud800', '_bsontype', 'length', 'constructor', '__v']
const REFUSED_KEYS: Record<string, string[]> = {
  'MongoStore of documents on a double': ['a\0b', '_bsontype'],
  'PostgresStore of jsonb': ['a\0b', '\ud800']
}

it.each([...STORES, ...Object.keys(MORE)])('odd keys in a session are kept, or refused by name: %s', async (name) => {
  const { store } = open[name]!
  const refused: string[] = []
  // BSON has whole characters only.
  for (const key of KEYS.filter((each) => each !== '\ud800' || !name.startsWith('MongoStore'))) {
    const kept = { cookie, [key]: 'x', inner: { [key]: [{ [key]: 'y' }] } }
    const code = await ask(store, 'set', 'keys', kept).then(
      () => undefined,
      (err) => err.code
    )
    if (code === 'ERR_SESSION_UNSERIALIZABLE') refused.push(key)
    else expect([key, code, { ...(await ask(store, 'get', 'keys')) }]).toEqual([key, undefined, kept])
  }
  expect(refused).toEqual(REFUSED_KEYS[name] ?? [])
})

it('a value of another release of bson is refused as such', async () => {
  const { store } = open['MongoStore of documents on a double']!
  const id = { _bsontype: 'ObjectId', [Symbol.for('@@mdb.bson.version')]: 1, toJSON: () => 'x' }
  await expect(ask(store, 'set', 'foreign', { cookie, id })).rejects.toMatchObject({
    code: 'ERR_SESSION_UNSERIALIZABLE',
    message: expect.stringContaining('value of another release of bson')
  })
})

it('an ID that no cookie can carry is refused before it is stored', async () => {
  const { store } = open.MemoryStore!
  const options = { secret, resave: false, saveUninitialized: false, genid: () => 'a\ud800', store: store as never }
  const { status, body } = await read(appWith(session(options), basics), '')
  expect([status, body.code]).toEqual([500, 'ERR_SESSION_OPTION'])
  expect(await ask(store, 'get', 'a\ud800')).toBeFalsy()
})

it('names and prefixes that would not fit are refused at set-up', () => {
  const refused = expect.objectContaining({ name: 'TypeError', code: 'ERR_SESSION_OPTION' })
  const client = Object.fromEntries(['gets', 'cas', 'add', 'set', 'del'].map((verb) => [verb, () => undefined]))
  for (const prefix of ['p'.repeat(192), 'a b', 'a\n', '\u00e9']) {
    expect(() => new MemcachedStore({ client: client as never, prefix })).toThrow(refused)
  }
  new MemcachedStore({ client: client as never, prefix: 'p'.repeat(191) })
  const keyPairs = [['h'.repeat(32)]] as const
  for (const keyPrefix of ['p'.repeat(199), 'a b', '\u00e9']) {
    expect(() => gorillaSessions('h:1', { format: 'memcache', keyPairs, keyPrefix })).toThrow(refused)
  }
  const pool = { query: () => undefined, connect: () => undefined }
  expect(() => gorillaSessions(pool, { format: 'pgstore', keyPairs, table: 't'.repeat(64) })).toThrow(refused)
  for (const table of ['\u0434'.repeat(29), 't'.repeat(41)]) {
    expect(() => new PostgresStore({ pool: pool as never, table })).toThrow(refused)
  }
})
