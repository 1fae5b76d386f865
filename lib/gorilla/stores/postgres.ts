import { hasMethods, OptionError, quote, unavailable } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { DAY, SECOND, type Milliseconds } from '../../base/time'
import type { Answered } from '../../stores/sql/dialect'
import { postgresDriver, postgresFault, type PostgresPool } from '../../stores/sql/postgres-dialect'
import { demandBacking, type Shelf, type Shelved } from './shelf'

const PATIENCE: Milliseconds = 10 * SECOND
const UNDEFINED_TABLE = '42P01'
const TABLE = /^[A-Za-z_]\w{0,62}(?:\.[A-Za-z_]\w{0,62})?$/
// A row without an end is there until somebody removes it; pgstore wants a date.
const NO_END: Milliseconds = 100 * 365 * DAY

/** Records in the table of pgstore. Columns may be texts or bytes: releases differ. */
export function postgresShelf(pool: unknown, table: string): Shelf {
  demandBacking(hasMethods(pool, 'query'), 'pgstore', 'a Pool of pg', pool)
  if (!TABLE.test(table)) throw new OptionError(`gorillaSessions: table must be a name, got ${quote(table)}`)
  const driver = postgresDriver(pool as PostgresPool, false, PATIENCE)
  const query = async (sql: string, values: unknown[]): Promise<Answered> => {
    const run = async () => driver.run({ sql, selects: true }, values)
    try {
      return await run().catch(async (err: unknown) => {
        if ((err as { code?: unknown }).code !== UNDEFINED_TABLE) throw err
        for (const statement of creationOf(table)) await driver.define(statement)
        return run()
      })
    } catch (err) {
      const { reason, cause } = postgresFault(err)
      throw unavailable(`PostgreSQL ${reason}`, cause)
    }
  }
  const read = async (id: string): Promise<Shelved | null> => {
    const select = `SELECT data, modified_on, expires_on FROM ${table} WHERE key = $1 ORDER BY id DESC LIMIT 1`
    const { rows } = await query(select, [id])
    if (rows.length === 0) return null
    const { data, modified_on, expires_on } = rows[0]!
    const raw = Buffer.isBuffer(data) ? data : Buffer.from(String(data))
    const [modifiedAt, end] = [timeOf(modified_on), timeOf(expires_on)]
    // A MaxAge of 0: Go reads it for as long as it is there.
    const expiresAt = end === undefined || end <= (modifiedAt ?? 0) ? null : end
    return { raw, version: md5(raw), expiresAt, ...(modifiedAt !== undefined && { modifiedAt }) }
  }
  return {
    remote: true,
    read,
    async write(id, raw, end, version) {
      const values = [id, raw.toString('latin1'), new Date(), new Date(end ?? Date.now() + NO_END)]
      if (version !== null) {
        const update = `UPDATE ${table} SET data = $2, modified_on = $3, expires_on = $4 WHERE key = $1 AND md5(data) = $5`
        return (await query(update, [...values, version])).changes > 0
      }
      // Two who begin at the same moment may both find none.
      const none = `NOT EXISTS (SELECT 1 FROM ${table} WHERE key = $1)`
      const insert = `INSERT INTO ${table} (key, data, created_on, modified_on, expires_on) SELECT $1, $2, $3, $3, $4 WHERE ${none}`
      return (await query(insert, values)).changes > 0
    },
    async remove(id, version) {
      // Nothing in the table keeps pgstore from inserting an ID twice: all of its rows go.
      const same = ` AND EXISTS (SELECT 1 FROM ${table} WHERE key = $1 AND md5(data) = $2)`
      const [condition, values] = version === undefined ? ['', [id]] : [same, [id, version]]
      return (await query(`DELETE FROM ${table} WHERE key = $1${condition}`, values)).changes > 0
    },
    versionOf: md5
  }
}

// As pgstore makes it when it starts.
function creationOf(table: string): string[] {
  const name = table.replace(/^.*\./, '')
  return [
    `CREATE TABLE IF NOT EXISTS ${table} (id BIGSERIAL PRIMARY KEY, key BYTEA, data BYTEA, ` +
      'created_on TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP, modified_on TIMESTAMPTZ, expires_on TIMESTAMPTZ)',
    `CREATE INDEX IF NOT EXISTS ${name}_expiry_idx ON ${table} (expires_on)`,
    `CREATE INDEX IF NOT EXISTS ${name}_key_idx ON ${table} (key)`
  ]
}

// What both kinds of columns are hashed with; it only tells texts of one session apart.
function md5(raw: Buffer): string {
  return hashOf('md5', raw, 'hex')
}

function timeOf(value: unknown): Milliseconds | undefined {
  const time = new Date(value as Date).valueOf()
  return value === null || Number.isNaN(time) ? undefined : time
}
