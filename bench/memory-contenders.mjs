// Stores in memory, and how each is filled, read, asked for a user's sessions and made to drop what expired.
import { createRequire } from 'node:module'
import { secret } from './contenders.mjs'

const require = createRequire(import.meta.url)
const silverback = require('../dist/index.js')
const expressSession = require('express-session')
const memorystore = require('memorystore')(expressSession)

export const LIFETIME = 3_600_000

/** The session that everybody keeps. */
export function dataOf(number) {
  return {
    userId: `user-${number}`,
    csrf: 'c'.repeat(24),
    name: 'A. N. Other',
    roles: ['reader'],
    seen: number
  }
}

function ours(userId) {
  const store = new silverback.MemoryStore({ sweepEvery: 100 })
  const manager = silverback.sessions({
    secret,
    store,
    idle: LIFETIME,
    userId
  })
  return {
    middleware: manager,
    insert: async (data) => (await manager.create(data, { userId: userId?.(data) })).id,
    read: async (id) => (await manager.get(id))?.data,
    list: userId && (async (user) => (await manager.list(user)).length),
    revoke: userId && ((user) => manager.revoke(user)),
    size: () => store.length(),
    textOf: (id) => store.sessions[id],
    async expire(pass, turn) {
      const sweep = async (before) => {
        while (store.lastCleanup === before) await turn()
      }
      // The clock changes between two sweeps, not in the middle of one.
      await sweep(store.lastCleanup)
      pass()
      await sweep(store.lastCleanup)
    }
  }
}

function theirs(store, { size, textOf, expire }) {
  const cookie = { maxAge: LIFETIME }
  return {
    middleware: expressSession({
      secret,
      store,
      resave: false,
      saveUninitialized: false,
      cookie
    }),
    insert(data) {
      const req = { sessionStore: store }
      store.generate(req)
      Object.assign(req.session, data)
      return new Promise((resolve) => store.set(req.sessionID, req.session, () => resolve(req.sessionID)))
    },
    read: (id) => new Promise((resolve, reject) => store.get(id, (err, found) => (err ? reject(err) : resolve(found)))),
    size: () => size(store),
    textOf: (id) => textOf(store, id),
    async expire(pass, turn) {
      pass()
      expire(store)
      await turn()
    }
  }
}

export const MEMORY_CONTENDERS = {
  'silverback MemoryStore': () => ours(),
  'silverback MemoryStore, a user each': () => ours((session) => session.userId),
  'express-session MemoryStore': () =>
    theirs(new expressSession.MemoryStore(), {
      size: (store) => Object.keys(store.sessions).length,
      textOf: (store, id) => store.sessions[id],
      // Nothing sweeps it.
      expire: () => {}
    }),
  memorystore: () =>
    theirs(new memorystore({}), {
      size: (store) => store.store.length,
      textOf: (store, id) => store.store.peek(id),
      expire: (store) => store.prune()
    })
}
