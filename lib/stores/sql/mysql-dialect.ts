import type { SessionErrorCode } from '../../base/errors'
import { SECOND, type Milliseconds } from '../../base/time'
import { warnOnce } from '../../base/warnings'
import { faultOf, METAS, PAGE_SIZE, quoteName, TOGETHER_MAX, usedAtIn, withoutValues } from './dialect'
import type { Answered, Dialect, Driver, Parts, Times } from './dialect'

type Answer<T> = (err: Error | null, answer: T, fields?: { name: string }[]) => void

interface Connection {
  execute(sql: string, values: unknown[], answer: Answer<unknown>): unknown
  release(): unknown
  destroy(): unknown
}

/** A pool of `mysql2` with callbacks, as far as the store uses it. */
export interface MysqlCallbackPool {
  getConnection(answer: Answer<Connection>): unknown
}

/** A pool of `mysql2` 3: with callbacks, or of `mysql2/promise`. */
export type MysqlPool = MysqlCallbackPool | { pool: MysqlCallbackPool }

const DUPLICATE_ROW = 1062
/** What a server says that takes no writes. After a failover connections of the pool may lead to one for good. */
const READ_ONLY = new Set([1290, 1792, 1836])
/** Tables, columns and indexes that somebody else has just made. */
const DUPLICATES = new Set([1050, 1060, 1061])

/** Statements on a pool of `mysql2`, each prepared once on each connection. */
export function mysqlDriver(given: MysqlPool, timeout: Milliseconds): Driver {
  // A promise of mysql2 costs another wrapped connection, and a stack that is captured.
  const pool = 'pool' in given ? given.pool : given
  const execute = (sql: string, values: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      let used: Connection | undefined
      let isOver = false
      // mysql2's own timeout leaves a connection that does not answer in the pool, for good.
      const timer = setTimeout(() => {
        isOver = true
        used?.destroy()
        reject(new Error(`No answer within ${timeout} ms`))
      }, timeout)
      pool.getConnection((err, connection) => {
        // Whoever waited for it has gone, and may have been told that nothing was done.
        if (isOver) return err ?? connection.release()
        const done: Answer<unknown> = (err, result, fields) => {
          clearTimeout(timer)
          if (READ_ONLY.has(numberOf(err)!)) used?.destroy()
          else used?.release()
          if (err) reject(err)
          else resolve(named(result, fields))
        }
        if (err) return done(err, undefined)
        used = connection
        try {
          // Options in an object would cost a third more.
          connection.execute(sql, values, done)
        } catch (err) {
          done(err as Error, undefined)
        }
      })
    })
  return {
    sync: false,
    async run({ sql, selects }, values) {
      try {
        const result = await execute(sql, values)
        if (selects) return { rows: result as Answered['rows'], changes: 0 }
        return { rows: [], changes: matchedBy(result as Done) }
      } catch (err) {
        // INSERT IGNORE would also ignore that a record was too long.
        if (numberOf(err) === DUPLICATE_ROW) return { rows: [], changes: 0 }
        throw err
      }
    },
    define: (sql) =>
      execute(sql, []).catch((err: unknown) => {
        if (!DUPLICATES.has(numberOf(err)!)) throw err
      })
  }
}

// A pool may be told to answer lists (`rowsAsArray`).
function named(result: unknown, fields?: { name: string }[]): unknown {
  if (!Array.isArray(result) || !Array.isArray(result[0])) return result
  return result.map((row: unknown[]) => Object.fromEntries(fields!.map(({ name }, i) => [name, row[i]])))
}

interface Done {
  info?: string
  affectedRows: number
}

// A pool may be told to count only the rows that changed (the flag -FOUND_ROWS).
function matchedBy({ info, affectedRows }: Done): number {
  return Number(/^Rows matched: (\d+)/.exec(info ?? '')?.[1] ?? affectedRows)
}

function numberOf(err: unknown): number | undefined {
  return (err as { errno?: number } | null)?.errno
}

/** The last second of an unsigned integer, in 2106: such a row never ends. */
const NEVER = 2 ** 32 - 1

const TIMES: Times = {
  expiry: (time) => Math.min(Math.ceil((time ?? Infinity) / SECOND), NEVER),
  now: (time) => Math.floor(time / SECOND),
  read: (value) => (Number(value) >= NEVER ? null : Number(value) * SECOND || 0)
}

const USER_COLUMN = 'silverback_user'

/**
 * MySQL and MariaDB. The row that was read is told by its text, byte by byte, whatever the collation of the column takes
 * for equal. There is no version of a row to compare, and a digest would be reckoned from the same text.
 */
export function mysqlDialect(table: string): Dialect {
  const quoted = quoteName(table, '`')
  const userColumn = `\`${USER_COLUMN}\` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (${USER}) VIRTUAL`
  const index = (kind: string, columns: string) => `INDEX ${quoteName(`${table}_${kind}`, '`')} (${columns})`
  const onExpiry = index('expiry', '`expires`')
  const onUser = index('user', `\`${USER_COLUMN}\`, \`session_id\``)
  // Refused, rather than done with a lock that readers or writers would wait for.
  const alter = (change: string) => `ALTER TABLE ${quoted} ADD ${change}, ALGORITHM=INPLACE, LOCK=NONE`
  return {
    database: 'MySQL',
    // Most collations pad what they compare.
    unfit: / $/,
    table,
    numbered: false,
    creation: [
      `CREATE TABLE IF NOT EXISTS ${quoted} (\`session_id\` varchar(128) COLLATE utf8mb4_bin NOT NULL, \`expires\` int(11) unsigned NOT NULL, \`data\` mediumtext COLLATE utf8mb4_bin, ${userColumn}, PRIMARY KEY (\`session_id\`), ${onExpiry}, ${onUser}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`
    ],
    // Of an index the column that leads it. (A variable in capitals: what is small is a value.)
    description: `SELECT 'mode' AS kind, @@SQL_MODE AS name
UNION ALL SELECT 'column', column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = @table
UNION ALL SELECT 'index', column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = @table AND seq_in_index = 1`,
    columns: 'session_id, expires and data (as of express-mysql-session)',
    schemaOf(columns, leading, modes) {
      if (!['session_id', 'expires', 'data'].every((name) => columns.has(name))) return undefined
      if (![...modes.keys()].some((mode) => /STRICT_/.test(mode))) warnOfCuts()
      const hasUsers = columns.has(USER_COLUMN)
      const indexed = leading.has(USER_COLUMN)
      const lacks: string[] = []
      if (!leading.has('expires')) lacks.push(alter(onExpiry))
      if (!hasUsers) lacks.push(`ALTER TABLE ${quoted} ADD COLUMN ${userColumn}, ALGORITHM=INPLACE`)
      if (!indexed) lacks.push(alter(onUser))
      return { parts: partsOf(quoted, hasUsers), times: TIMES, indexed, lacks }
    },
    faultOf(err) {
      const number = numberOf(err)
      // The client knows MySQL's errors by name, not those that MariaDB alone has.
      const name = (err as { code?: unknown } | null)?.code ?? (number && `ER_${number}`)
      // The server quotes values, which may have apostrophes of their own.
      const cause = withoutValues(err, (text) => text.replace(/(?<!\w)'.*'(?!\w)/s, "'...'"))
      const isOfId = /'session_id'/.test((err as Error | null)?.message ?? '')
      const unfit = isOfId && UNFIT.has(number!) ? 'ERR_SESSION_OPTION' : UNFIT.get(number!)
      return faultOf(name, HINTS, { cause, undone: UNDONE.has(number!), unfit })
    }
  }
}

function warnOfCuts(): void {
  warnOnce(
    'SILVERBACK_SQL_MODE',
    "MySQL's sql_mode is not strict on the connections of the store: it cuts sessions and IDs that are too long instead of refusing them, and such sessions are lost. Add STRICT_TRANS_TABLES to it."
  )
}

// What is no JSON belongs to nobody, and must not fail the statement that meets it.
const USERS = METAS.map((meta) => `JSON_EXTRACT(\`data\`, '$.${meta}.i')`).join(', ')
const USER = `CASE WHEN JSON_VALID(\`data\`) THEN LEFT(JSON_UNQUOTE(COALESCE(${USERS})), 255) END`
// No backslash in any text: a server may take it for itself, or not (NO_BACKSLASH_ESCAPES).
const LEADS_ON = `(\`data\` REGEXP '"(${METAS.join('|')})":[{]"u":[0-9]+,"c":[0-9]+,"n":')`

// In place, as `withUsedAt` does it: the rest stays as it was written. A comma follows the digits.
const REFRESHED = METAS.reduceRight((otherwise, meta) => {
  const mark = `LOCATE('${usedAtIn(meta)}', \`data\`)`
  const digits = `(${mark} + ${usedAtIn(meta).length})`
  const refreshed = `INSERT(\`data\`, ${digits}, LOCATE(',', \`data\`, ${digits}) - ${digits}, @used)`
  return `CASE WHEN ${mark} > 0 THEN ${refreshed} ELSE ${otherwise} END`
}, '`data`')

function partsOf(table: string, hasUsers: boolean): Parts {
  const bytes = (text: string) => `CAST(CONVERT(${text} USING utf8mb4) AS BINARY)`
  return {
    table,
    id: '`session_id`',
    text: '`data`',
    expires: '`expires`',
    // The driver would parse a column of the type JSON.
    readText: 'CONVERT(`data` USING utf8mb4)',
    same: (parameter) => `${bytes('`data`')} = ${bytes(parameter)}`,
    refreshed: REFRESHED,
    isForwarding: LEADS_ON,
    user: hasUsers ? `\`${USER_COLUMN}\`` : USER,
    userValue: 'LEFT(@user, 255)',
    among: (parameter) => `\`session_id\` IN (${Array<string>(TOGETHER_MAX).fill(parameter).join(', ')})`,
    orIgnore: '',
    orReplace: 'ON DUPLICATE KEY UPDATE `data` = VALUES(`data`), `expires` = VALUES(`expires`)',
    removeSome: (condition, order, limit) => `DELETE FROM ${table} WHERE ${condition} ORDER BY ${order} LIMIT ${limit}`,
    // Compared as if there were blanks behind it.
    lowest: '\0'.repeat(128),
    sweepSize: PAGE_SIZE,
    clearSize: PAGE_SIZE
  }
}

/** A deadlock, and what MariaDB finds changed since a snapshot. */
const UNDONE = new Set([1213, 1020])

/** What is too long for a column, or not in its character set. */
const UNFIT = new Map<number, SessionErrorCode>([
  [1406, 'ERR_SESSION_TOO_LARGE'],
  [1366, 'ERR_SESSION_UNSERIALIZABLE']
])

const HINTS: Record<string, string> = {
  // MariaDB's ER_STATEMENT_TIMEOUT.
  ER_1969: 'the statement took too long',
  ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: 'it takes no writes',
  ER_CON_COUNT_ERROR: 'it has too many connections',
  ER_DATA_TOO_LONG: 'the column is too short: make it a longtext, or keep less in the session',
  ER_DISK_FULL: 'its disk is full',
  ER_LOCK_WAIT_TIMEOUT: 'another transaction has held the row for too long',
  ER_OPTION_PREVENTS_STATEMENT: 'it takes no writes (a replica, or read-only)',
  ER_QUERY_TIMEOUT: 'the statement took too long',
  ER_RECORD_FILE_FULL: 'the table, or its disk, is full',
  ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: 'the column does not know all characters: make it utf8mb4',
  ER_TABLEACCESS_DENIED_ERROR: 'the user needs SELECT, INSERT, UPDATE and DELETE on the table of the sessions'
}
