// SqliteStore on node:sqlite: what the tests show on better-sqlite3, in short. See node-sqlite.sh.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [folder, role] = process.argv.slice(2)
const require = createRequire(join(folder, 'dist/'))
const { SqliteStore } = require('./sqlite.js')
const { sessions } = require('./index.js')
const { DatabaseSync } = require('node:sqlite')
const powers = Symbol.for('silverback.powers')
const HOUR = 3_600_000
const INCREMENTS = 500

const path = join(folder, `sessions-${process.versions.node}.db`)
const life = (ms = HOUR) => ({ usedAt: Date.now(), expiresAt: Date.now() + ms })
const textOf = (data, meta) =>
  JSON.stringify({
    cookie: { originalMaxAge: null, expires: null },
    silverback_meta: { u: Date.now(), c: 1, ...meta },
    ...data
  })

if (role === 'child') {
  const store = new SqliteStore({ path })
  for (let done = 0; done < INCREMENTS;) {
    const { text } = store[powers].read('count')
    const record = JSON.parse(text)
    record.n++
    if (store[powers].write({ id: 'count', text: JSON.stringify(record), expected: text, life: life() }) === true)
      done++
  }
  await store.close()
  process.exit()
}

const store = new SqliteStore({ path })
assert.equal(process.getBuiltinModule('node:sqlite').DatabaseSync, DatabaseSync)

store[powers].write({ id: 'count', text: textOf({ n: 0 }), expected: null, life: life() })
const children = [1, 2].map(() => fork(fileURLToPath(import.meta.url), [folder, 'child']))
const ended = await Promise.all(children.map((child) => once(child, 'exit')))
assert.deepEqual(
  ended.map(([code]) => code),
  [0, 0]
)
assert.equal(store.get('count').n, 2 * INCREMENTS)

const text = textOf({ word: 'caf\u00e9' }, { i: 'ann' })
assert.equal(store[powers].write({ id: 'a', text, expected: null, life: life() }), true)
assert.equal(store[powers].write({ id: 'a', text, expected: null, life: life() }).text, text)
assert.deepEqual(
  store[powers].list('ann').map(({ id }) => id),
  ['a']
)
assert.equal(store[powers].extend('a', life(2 * HOUR)), true)
assert.equal(store[powers].lock.acquire('a', 'x', HOUR), true)
assert.equal(store[powers].lock.acquire('a', 'y', HOUR), false)
assert.deepEqual(store.ids(), ['a', 'count'])
store[powers].put('old', text, life(-1))
await store.sweep()
assert.equal(store.length(), 2)
assert.equal(store[powers].remove('a'), true)
assert.equal(store[powers].remove('a'), false)

const database = new DatabaseSync(path)
const given = new SqliteStore({ database, table: 'given' })
assert.throws(() => given.get('a'), /CREATE TABLE/)
assert.equal(given.migrate().length, 3)
database.exec('PRAGMA query_only = 1')
assert.throws(() => given.set('a', { cookie: {} }), { code: 'ERR_SESSION_STORE', message: /SQLITE_READONLY/ })

const middleware = sessions({ secret: 'x'.repeat(32) + 'abcdefgh', store })
const { id } = await middleware.create({ user: 'ann' })
assert.deepEqual((await middleware.get(id)).data, { user: 'ann' })
await store.close()
console.log(
  `node:sqlite of Node.js ${process.versions.node}: two processes counted to ${2 * INCREMENTS}, all verbs work`
)
