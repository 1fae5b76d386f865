// What a release must keep: how many times cheaper than whom, and where.
const PEER = 'express-session, MemoryStore'
const OURS = 'silverback sessions(), MemoryStore'
const COOKIE = 'silverback sessions(), CookieStore'
const REDIS = 'silverback sessions(), RedisStore'
const DOOR = 'silverback session()'

const A = 'a anonymous, untouched'
const B = 'b valid cookie, untouched'
const C = 'c one value read'
const D = 'd one value written'
const E = 'e new session'
const F = 'f forged cookie, untouched'

const cheaper = (scenario, ours, theirs, least, payload = '300 B') => ({
  scenario,
  payload,
  ours,
  theirs,
  least
})

export const LOCAL_TARGETS = [
  cheaper(A, OURS, PEER, 20),
  cheaper(B, OURS, PEER, 14),
  cheaper(B, OURS, PEER, 50, '3 KB'),
  cheaper(C, OURS, PEER, 5),
  cheaper(D, OURS, PEER, 5),
  cheaper(E, OURS, PEER, 4.5),
  cheaper(F, OURS, PEER, 9),
  ...[C, D, E].map((scenario) => cheaper(scenario, COOKIE, 'iron-session (seals)', 20)),
  cheaper(C, COOKIE, 'cookie-session (signs)', 2.5),
  cheaper(D, COOKIE, 'cookie-session (signs)', 2),
  cheaper(E, COOKIE, 'cookie-session (signs)', 2),
  cheaper(C, `${DOOR}, ES MemoryStore`, PEER, 2)
]

const PEER_REDIS = 'express-session, connect-redis'

export const REDIS_TARGETS = [
  cheaper(B, REDIS, PEER_REDIS, 3),
  cheaper(C, REDIS, PEER_REDIS, 2.5),
  cheaper(D, REDIS, PEER_REDIS, 1.7),
  cheaper(E, REDIS, PEER_REDIS, 2),
  cheaper(C, `${DOOR}, connect-redis`, PEER_REDIS, 1.5)
]

/** Commands sent, and round trips waited for. */
export const TRAFFIC_TARGETS = [
  { scenario: C, ours: REDIS, sent: 1, trips: 1 },
  { scenario: C, ours: `${REDIS}, client-side cache`, sent: 0, trips: 0 }
]

const sql = (store, theirs, { least }) => [
  ...[B, C].map((scenario) =>
    cheaper(scenario, `silverback sessions(), ${store}`, `express-session, ${theirs}`, least)
  ),
  ...[D, E].map((scenario) => cheaper(scenario, `silverback sessions(), ${store}`, `express-session, ${theirs}`, 1))
]

/** By the protocol of the database's URL. */
export const SQL_TARGETS = {
  postgres: sql('PostgresStore', 'connect-pg-simple', { least: 2 }),
  mysql: sql('MysqlStore', 'express-mysql-session', { least: 2 }),
  sqlite: [
    ...sql('SqliteStore', 'connect-sqlite3', { least: 8 }),
    ...sql('SqliteStore', 'better-sqlite3-session-store', { least: 2 })
  ]
}

/** Statements sent at most by ours. */
export const SQL_TRAFFIC_TARGETS = { [A]: 0, [B]: 1, [C]: 1, [D]: 2, [E]: 1, [F]: 0 }

export const END_TO_END_TARGETS = ['read', 'write'].flatMap((load) => [
  { load, ours: 'silverback sessions()', theirs: 'bare Express', least: 0.85 },
  {
    load,
    ours: 'silverback sessions()',
    theirs: 'express-session',
    least: 1.4
  }
])

export const MEMORY_TARGETS = {
  sizes: [2e5, 1e6],
  names: ['silverback MemoryStore', 'silverback MemoryStore, a user each'],
  bytes: 500,
  pause: 10,
  /** Bytes a session that may stay behind: what V8 keeps for the next ones. */
  bytesLeft: 10
}
