import { hasMethods, OptionError, quote, unavailable } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { DAY, SECOND, type Milliseconds } from '../../base/time'
import type { Answered } from '../../stores/sql/dialect'
import { PostgresDriver, type PostgresPool } from '../../stores/sql/postgres-dialect'
import { demandBacking, type Shelf, type Shelved } from './shelf'

const PATIENCE: Milliseconds = 10 * SECOND
const UNDEFINED_TABLE = '42P01'
const TABLE = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?$/
// A row without an end is there until somebody removes it; pgstore wants a date.
const NO_END: Milliseconds = 100 * 365 * DAY

/** Records in the table of pgstore. Columns may be texts or bytes: releases differ. */
export class PostgresShelf implements Shelf {
  readonly remote = true
  readonly #driver: PostgresDriver
  readonly #table: string

  constructor(pool: unknown, table: string) {
    demandBacking(hasMethods(pool, 'query'), 'pgstore', 'a Pool of pg', pool)
    if (!TABLE.test(table)) throw new OptionError(`gorillaSessions: table must be a name, got ${quote(table)}`)
    this.#driver = new PostgresDriver(pool as PostgresPool, false, PATIENCE)
    this.#table = table
  }

  async read(id: string): Promise<Shelved | null> {
    const { rows } = await this.#query(
      `SELECT data, modified_on, expires_on FROM ${this.#table} WHERE key = $1 ORDER BY id DESC LIMIT 1`,
      [id]
    )
    if (rows.length === 0) return null
    const { data, modified_on, expires_on } = rows[0]!
    const raw = Buffer.isBuffer(data) ? data : Buffer.from(String(data))
    const [modifiedAt, end] = [timeOf(modified_on), timeOf(expires_on)]
    // A MaxAge of 0: Go reads it for as long as it is there.
    const expiresAt = end === undefined || end <= (modifiedAt ?? 0) ? null : end
    return { raw, version: this.versionOf(raw), expiresAt, ...(modifiedAt !== undefined && { modifiedAt }) }
  }

  async create(id: string, raw: Buffer, end: Milliseconds | null): Promise<boolean> {
    if ((await this.read(id)) !== null) return false
    const insert = `INSERT INTO ${this.#table} (key, data, created_on, modified_on, expires_on) VALUES ($1, $2, $3, $3, $4)`
    await this.#query(insert, [id, raw.toString('latin1'), new Date(), endOf(end)])
    return true
  }

  async replace(id: string, raw: Buffer, end: Milliseconds | null, version: string): Promise<boolean> {
    const update = `UPDATE ${this.#table} SET data = $2, modified_on = $3, expires_on = $4 WHERE key = $1 AND md5(data) = $5`
    const { changes } = await this.#query(update, [id, raw.toString('latin1'), new Date(), endOf(end), version])
    return changes > 0
  }

  async remove(id: string, version?: string): Promise<boolean> {
    // Nothing in the table keeps pgstore from inserting an ID twice: all of its rows go.
    const same = ` AND EXISTS (SELECT 1 FROM ${this.#table} WHERE key = $1 AND md5(data) = $2)`
    const [condition, values] = version === undefined ? ['', [id]] : [same, [id, version]]
    const { changes } = await this.#query(`DELETE FROM ${this.#table} WHERE key = $1${condition}`, values)
    return changes > 0
  }

  // What both kinds of columns are hashed with; it only tells texts of one session apart.
  versionOf(raw: Buffer): string {
    return hashOf('md5', raw, 'hex')
  }

  async #query(text: string, values: unknown[]): Promise<Answered> {
    const run = () => this.#driver.run({ sql: text }, values)
    try {
      return await run().catch(async (err: unknown) => {
        if ((err as { code?: unknown }).code !== UNDEFINED_TABLE) throw err
        await this.#createTable()
        return run()
      })
    } catch (cause) {
      throw unavailable('PostgreSQL did not answer, or refused a statement.', cause)
    }
  }

  // As pgstore makes it when it starts.
  async #createTable(): Promise<void> {
    const name = this.#table.replace(/^.*\./, '')
    for (const statement of [
      `CREATE TABLE IF NOT EXISTS ${this.#table} (id BIGSERIAL PRIMARY KEY, key BYTEA, data BYTEA, ` +
        'created_on TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP, modified_on TIMESTAMPTZ, expires_on TIMESTAMPTZ)',
      `CREATE INDEX IF NOT EXISTS ${name}_expiry_idx ON ${this.#table} (expires_on)`,
      `CREATE INDEX IF NOT EXISTS ${name}_key_idx ON ${this.#table} (key)`
    ]) {
      await this.#driver.define(statement)
    }
  }
}

function endOf(end: Milliseconds | null): Date {
  return new Date(end ?? Date.now() + NO_END)
}

function timeOf(value: unknown): Milliseconds | undefined {
  const time = new Date(value as Date).valueOf()
  return value === null || Number.isNaN(time) ? undefined : time
}
