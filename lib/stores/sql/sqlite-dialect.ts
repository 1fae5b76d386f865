import type { Milliseconds } from '../../base/time'
import { faultOf, METAS, quoteName, usedAtIn, type Dialect, type Parts, type Times } from './dialect'

/** Later than any date of JavaScript: no session of it ends. */
const NEVER = 8.64e15
const LAST_ISO = Date.parse('9999-12-31T23:59:59.999Z')

/** connect-sqlite3: ms in a column of no type. */
const NUMBERS: Times = {
  expiry: (time) => Math.min(time ?? NEVER, NEVER),
  now: (time) => time,
  read: (value) => endOf(Number(value), NEVER)
}

/** better-sqlite3-session-store: ISO texts, which sort as their times do. */
const ISO: Times = {
  expiry: (time) => new Date(Math.min(Math.ceil(time ?? LAST_ISO), LAST_ISO)).toISOString(),
  now: (time) => new Date(time).toISOString(),
  read: (value) => endOf(Date.parse(String(value)), LAST_ISO)
}

function endOf(time: Milliseconds, never: Milliseconds): Milliseconds | null {
  return time >= never ? null : time || 0
}

/** The columns by which a table is known. */
const LAYOUTS: Record<string, Times> = { expired: NUMBERS, expire: ISO }

/**
 * SQLite. The row that was read is told by its text: it is kept as it was written, compared byte by byte, and as near as
 * the row itself, so that nothing is gained by a digest.
 */
export function sqliteDialect(table: string): Dialect {
  const quoted = quoteName(table)
  const index = (kind: string) => quoteName(`${table}_${kind}`)
  const onExpiry = (column: string) => `CREATE INDEX IF NOT EXISTS ${index('expiry')} ON ${quoted} (${column})`
  // For sessions of users alone: those of visitors cost it nothing.
  const onUser = `CREATE INDEX IF NOT EXISTS ${index('user')} ON ${quoted} (${USER}, sid) WHERE ${USER} IS NOT NULL`
  return {
    database: 'SQLite',
    table,
    numbered: false,
    // The order of columns is connect-sqlite3's, which names none.
    creation: [
      `CREATE TABLE IF NOT EXISTS ${quoted} (sid TEXT NOT NULL PRIMARY KEY, expired INTEGER NOT NULL, sess TEXT NOT NULL)`,
      onExpiry('expired'),
      onUser
    ],
    description: `SELECT 'column' AS kind, name FROM pragma_table_xinfo(@table)
UNION ALL SELECT type, name FROM sqlite_master WHERE type = 'index' AND tbl_name = @table`,
    columns:
      'sid, expired and sess (as of connect-sqlite3), or sid, sess and expire (as of better-sqlite3-session-store)',
    schemaOf(columns, indexes) {
      const expires = Object.keys(LAYOUTS).find((column) => columns.has(column))
      if (expires === undefined || !columns.has('sid') || !columns.has('sess')) return undefined
      const indexed = indexes.has(`${table}_user`)
      const lacks = indexes.has(`${table}_expiry`) ? [] : [onExpiry(expires)]
      if (!indexed) lacks.push(onUser)
      return { parts: partsOf(quoted, expires), times: LAYOUTS[expires]!, indexed, lacks }
    },
    faultOf: (err) => {
      const { code, errcode } = err as { code?: string; errcode?: number }
      // node:sqlite gives the number, better-sqlite3 the name.
      const name = code?.startsWith('SQLITE_') ? code : (CODES[(errcode ?? 0) & 0xff] ?? code ?? 'SQLITE_MISUSE')
      return faultOf(name, HINTS, { cause: err })
    }
  }
}

const CODES: Record<number, string> = {
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  26: 'SQLITE_NOTADB'
}

const HINTS: Record<string, string> = {
  SQLITE_BUSY: 'another process has held the database for longer than busyTimeout',
  SQLITE_FULL: 'the disk is full',
  SQLITE_NOTADB: 'the file is no database, or is encrypted'
}

// What is no JSON belongs to nobody, and must not fail the statement that meets it.
const inRecord = (key: string) =>
  `(CASE WHEN json_valid(sess) THEN coalesce(${METAS.map((meta) => `json_extract(sess, '$.${meta}.${key}')`).join(', ')}) END)`
const USER = inRecord('i')

// In place, as `withUsedAt` does it: json_set() would write the rest anew, too.
const REFRESHED = METAS.reduceRight((otherwise, meta) => {
  const mark = `'${usedAtIn(meta)}'`
  const digits = `instr(sess, ${mark}) + ${usedAtIn(meta).length}`
  const refreshed = `substr(sess, 1, ${digits} - 1) || @used || ltrim(substr(sess, ${digits}), '0123456789')`
  return `CASE WHEN instr(sess, ${mark}) > 0 THEN ${refreshed} ELSE ${otherwise} END`
}, 'sess')

function partsOf(table: string, expires: string): Parts {
  return {
    table,
    id: 'sid',
    text: 'sess',
    expires,
    same: (parameter) => `sess = ${parameter}`,
    refreshed: REFRESHED,
    isForwarding: `(${inRecord('n')} IS NOT NULL)`,
    user: USER,
    userValue: '@user',
    removeSome: (condition, order, limit) =>
      `DELETE FROM ${table} WHERE sid IN (SELECT sid FROM ${table} WHERE ${condition} ORDER BY ${order} LIMIT ${limit})`,
    // Few, for this process stands still meanwhile, and each may lie on four pages of its own.
    sweepSize: 50,
    // Nothing comes between. Few at a time would take about four times as long, all at once keep others out for too long.
    clearSize: 20_000
  }
}
