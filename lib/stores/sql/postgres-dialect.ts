import type { SessionErrorCode } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { SECOND, type Milliseconds } from '../../base/time'
import { faultOf, METAS, PAGE_SIZE, quoteName, withoutValues } from './dialect'
import type { Answered, Dialect, Driver, Fault, Parts, Times } from './dialect'

/** A Pool of `pg` 8, as far as the store uses it. */
export interface PostgresPool {
  query(query: any): Promise<{ rows: unknown[]; rowCount: number | null }>
  on?(event: 'error', listener: (err: Error) => void): unknown
}

/** Statements on a pool of `pg`, each on whichever connection is free. */
export function postgresDriver(pool: PostgresPool, prepare: boolean, timeout: Milliseconds): Driver {
  const queries = new Map<string, object>()
  // An idle connection that ends would end the process, too. Whoever needs the next one learns of it.
  if (!heard.has(pool)) pool.on?.('error', () => undefined)
  heard.add(pool)
  const queryOf = (text: string): object => ({
    text,
    // Two statements of one name would be taken for one another, and the application names its own.
    name: prepare ? `silverback_${hashOf('sha1', text, 'hex')}` : undefined,
    // A connection that does not answer is closed: the pool makes another in its place.
    query_timeout: timeout
  })
  return {
    sync: false,
    async run({ sql }, values) {
      let same = queries.get(sql)
      if (same === undefined) queries.set(sql, (same = queryOf(sql)))
      // Inherited, for pg copies at some cost whatever a query has itself.
      const query = Object.assign(Object.create(same) as object, { values })
      const { rows, rowCount } = await pool.query(query)
      return { rows: rows as Answered['rows'], changes: rowCount ?? 0 }
    },
    define: (sql) => pool.query({ text: sql })
  }
}

const heard = new WeakSet<PostgresPool>()

/** Seconds, as connect-pg-simple gives them to to_timestamp(). The column is in the time zone of the connection. */
const TIMES: Times = {
  expiry: (time) => (time === null ? Infinity : Math.min(time, 8.64e15) / SECOND),
  now: (time) => time / SECOND,
  read: (value) => (value === Infinity ? null : Math.round(Number(value)) || 0)
}

/**
 * PostgreSQL. The row that was read is told by what it holds. A column of json keeps the very text it was given, and
 * that is compared. One of jsonb keeps the meaning alone: what was read is no more the text that was written, so both
 * are compared as jsonb, by meaning. The row's own version (xmin) would not do, since extending a session changes it.
 */
export function postgresDialect(table: string, schema?: string): Dialect {
  const quoted = (schema === undefined ? '' : `${quoteName(schema)}.`) + quoteName(table)
  const index = (kind: string) => quoteName(`${table}_${kind}`)
  const onExpiry = (how = '') => `CREATE INDEX ${how}IF NOT EXISTS ${index('expiry')} ON ${quoted} ("expire")`
  // For sessions of users alone: those of visitors cost it nothing.
  const onUser = (user: string, how = '') =>
    `CREATE INDEX ${how}IF NOT EXISTS ${index('user')} ON ${quoted} ((${user}), "sid") WHERE ${user} IS NOT NULL`
  // Without a lock that readers or writers would wait for.
  const CONCURRENTLY = 'CONCURRENTLY '
  return {
    database: 'PostgreSQL',
    unfit: /\0/,
    table: quoted,
    numbered: true,
    creation: [
      `CREATE TABLE IF NOT EXISTS ${quoted} ("sid" varchar NOT NULL PRIMARY KEY, "sess" json NOT NULL, "expire" timestamp(6) NOT NULL)`,
      onExpiry(),
      onUser(USER_IN_JSON)
    ],
    // Of a column its type; of an index the column that leads it, empty for an expression, NULL while it is not valid.
    description: `SELECT 'column' AS kind, attname AS name, format_type(atttypid, NULL) AS detail FROM pg_attribute WHERE attrelid = to_regclass(@table) AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'index', c.relname, CASE WHEN i.indisvalid THEN coalesce(a.attname, '') END FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = to_regclass(@table)`,
    columns: 'sid, sess and expire (as of connect-pg-simple)',
    schemaOf(columns, indexes) {
      if (!['sid', 'sess', 'expire'].every((name) => columns.has(name))) return undefined
      const isBinary = columns.get('sess') === 'jsonb'
      const users = indexes.get(`${table}_user`)
      const lacks: string[] = []
      if (![...indexes.values()].includes('expire')) lacks.push(onExpiry(CONCURRENTLY))
      if (users === undefined) lacks.push(onUser(isBinary ? USER_IN_JSONB : USER_IN_JSON, CONCURRENTLY))
      // Left behind by an attempt that was broken off.
      else if (users === null)
        lacks.push(`REINDEX INDEX CONCURRENTLY ${quoted.slice(0, -quoteName(table).length)}${index('user')}`)
      return { parts: partsOf(quoted, isBinary), times: TIMES, indexed: users != null, lacks }
    },
    faultOf: postgresFault
  }
}

export function postgresFault(err: unknown): Fault {
  const { code } = (err ?? {}) as { code?: unknown }
  // The server quotes values that a column does not take, and names of its own elsewhere.
  const cause = withoutValues(err, (text) => (/^22/.test(String(code)) ? text.replace(/"[^]*"/, '"..."') : text))
  return faultOf(code, HINTS, { cause, undone: UNDONE.has(code), unfit: UNFIT.get(code) })
}

// As patterns of the text: json's own functions fail on an escaped NUL character anywhere in a record. The longest key of
// an index is some 2,700 bytes.
const HEAD = String.raw`"(?:${METAS.join('|')})":\{`
const USER_IN_JSON = String.raw`left(substring("sess"::text from '${HEAD}[^{}]*"i":"((?:[^"\\]|\\.)*)"'), 255)`
const inRecord = (operator: string, key: string) =>
  `coalesce(${METAS.map((meta) => `"sess" ${operator} '{${meta},${key}}'`).join(', ')})`
const USER_IN_JSONB = `left(${inRecord('#>>', 'i')}, 255)`

const JSON_TEXT = {
  same: (parameter: string) => `"sess"::text = ${parameter}`,
  // In place, as `withUsedAt` does it: the rest stays as it was written.
  refreshed: String.raw`regexp_replace("sess"::text, '(${HEAD}"u":)\d+', '\1' || @used)::json`,
  isForwarding: String.raw`("sess"::text ~ '${HEAD}"u":\d+,"c":\d+,"n":')`,
  user: USER_IN_JSON,
  userValue: 'left(@escaped, 255)'
}

const REFRESHED = METAS.reduce(
  (record, meta) => `jsonb_set(${record}, '{${meta},u}', @used::text::jsonb, false)`,
  '"sess"'
)

const JSON_BINARY = {
  same: (parameter: string) => `"sess" = ${parameter}::jsonb`,
  refreshed: `CASE WHEN jsonb_typeof("sess") = 'object' THEN ${REFRESHED} ELSE "sess" END`,
  isForwarding: `(${inRecord('#>', 'n')} IS NOT NULL)`,
  user: USER_IN_JSONB,
  userValue: 'left(@user, 255)'
}

function partsOf(table: string, isBinary: boolean): Parts {
  return {
    ...(isBinary ? JSON_BINARY : JSON_TEXT),
    table,
    id: '"sid"',
    text: '"sess"',
    expires: '"expire"',
    readText: '"sess"::text',
    readExpires: '(extract(epoch from "expire"::timestamptz) * 1000)::float8',
    time: (parameter) => `to_timestamp(${parameter})`,
    among: (parameter) => `"sid" = ANY (${parameter})`,
    // As an array, which is made once: a plan may run a subquery again and again.
    removeSome: (condition, order, limit) =>
      `DELETE FROM ${table} WHERE "sid" = ANY (ARRAY(SELECT "sid" FROM ${table} WHERE ${condition} ORDER BY ${order} LIMIT ${limit} FOR UPDATE SKIP LOCKED))`,
    sweepSize: PAGE_SIZE,
    clearSize: PAGE_SIZE
  }
}

/** A serialization failure, a deadlock, and two who make the same table at once: the second time it is there. */
const UNDONE = new Set<unknown>(['40001', '40P01', '23505', '42P07', '42710'])

/** Too long for the column or for its index: an ID, for records have neither. Then what jsonb and some encodings lack. */
const UNFIT = new Map<unknown, SessionErrorCode>([
  ['22001', 'ERR_SESSION_OPTION'],
  ['54000', 'ERR_SESSION_OPTION'],
  ['22P02', 'ERR_SESSION_UNSERIALIZABLE'],
  ['22P05', 'ERR_SESSION_UNSERIALIZABLE']
])

const UNPREPARED = 'a pooler in between knows no prepared statements: set prepare: false'

const UNKNOWN =
  'it has a character that the column or the encoding of the database does not know: let it be json in UTF8'

const HINTS: Record<string, string> = {
  '22P02': UNKNOWN,
  '22P05': UNKNOWN,
  '25006': 'it takes no writes (a replica, or read-only)',
  '26000': UNPREPARED,
  '3F000': 'there is no such schema',
  '42P05': UNPREPARED,
  '42501': 'the role needs SELECT, INSERT, UPDATE and DELETE on the table of the sessions',
  '53100': 'its disk is full',
  '53300': 'it has too many connections',
  '55P03': 'another transaction has held the row for too long',
  '57014': 'the statement took too long'
}
