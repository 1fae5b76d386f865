import type { SessionErrorCode } from '../../base/errors'
import { META, OLD_META } from '../../record/record'
import type { MaybePromise, Milliseconds } from '../../base/time'
import { LOCK_PREFIX } from '../../store/contract'

/** Sessions that are read in one statement at most. */
export const TOGETHER_MAX = 16
/** Rows that one statement reads or removes at most. */
export const PAGE_SIZE = 500
/** The names of the reserved property: records of either may lie in a table that was taken over. */
export const METAS = [META, OLD_META] as const

/** A record right before the digits of its last use. */
export function usedAtIn(meta: string): string {
  return `"${meta}":{"u":`
}

/** A row, as the statements name its columns. */
export type Row = {
  /** Only where many are read. */
  readonly id: string
  readonly text: unknown
  readonly expires: unknown
}

export interface Answered {
  readonly rows: readonly Record<string, unknown>[]
  /** Rows inserted, removed, or found to be updated, whether or not that changed anything in them. */
  readonly changes: number
}

/** Runs statements; all that a store has to know of a database's client. */
export interface Driver {
  readonly sync: boolean
  run(statement: Pick<Statement, 'sql' | 'selects'>, values: unknown[]): MaybePromise<Answered>
  define(sql: string): MaybePromise<unknown>
}

/** A statement as the client takes it, and which values it takes in which order. */
export interface Statement {
  readonly sql: string
  readonly parameters: readonly string[]
  readonly selects: boolean
}

/** How a table keeps times. */
export interface Times {
  /** When a row ends; `null`: never. Never earlier than asked for. */
  expiry(time: Milliseconds | null): unknown
  /** What an expiry is compared with: a row lives while its expiry is greater. */
  now(time: Milliseconds): unknown
  /** Back to ms; `null`: never. What is no time is over. */
  read(value: unknown): Milliseconds | null
}

export interface Schema {
  readonly parts: Parts
  readonly times: Times
  /** Whether the sessions of a user are found by an index. */
  readonly indexed: boolean
  /** The definitions that would complete it. */
  readonly lacks: readonly string[]
}

/** What a database says of the columns, or of the indexes, of a table: by name, and whatever else the dialect asks for. */
export type Described = ReadonlyMap<string, unknown>

/** A database, for one table in it. */
export interface Dialect {
  /** The database's name, for messages. */
  readonly database: string
  /** The name of the table, for messages and as `@table`. */
  readonly table: string
  /** Whether the client numbers its parameters (`$1`), or takes each where a `?` stands. */
  readonly numbered: boolean
  /** Statements that make the table and its indexes where they are missing. */
  readonly creation: readonly string[]
  /** Asks for the columns and indexes of `@table`: `kind` (`column`, `index`, `mode`), `name` and `detail`. */
  readonly description: string
  /** The columns that it must have, in words. */
  readonly columns: string
  /** `undefined` for a table without these columns. */
  schemaOf(columns: Described, indexes: Described, modes: Described): Schema | undefined
  faultOf(err: unknown): Fault
  /** IDs that no column can hold, or tell from another. */
  readonly unfit?: RegExp
}

export interface Fault {
  /** What happened, in words that follow the database's name. */
  readonly reason: string
  /** What it comes from, without any value of a statement. */
  readonly cause: unknown
  /** The statement was undone, for another's sake: it may well succeed when it is run again. */
  readonly undone?: boolean
  /** The database is well: it has no place for such a session, or with `ERR_SESSION_OPTION` for its ID. */
  readonly unfit?: SessionErrorCode | undefined
}

/** What differs from database to database in the statements, `@name` standing for a value. */
export interface Parts {
  readonly table: string
  /** Columns, quoted. */
  readonly id: string
  readonly text: string
  readonly expires: string
  /** Where the columns are not read, and a time is not written, as they stand. */
  readonly readText?: string
  readonly readExpires?: string
  time?(parameter: string): string
  /** Whether a row still has a text. */
  same(parameter: string): string
  /** The text with another time of last use. */
  readonly refreshed: string
  /** Whether a record leads on to another ID. */
  readonly isForwarding: string
  /** Whose the session is, and a user to compare that with. */
  readonly user: string
  readonly userValue: string
  /** Whether a row is one of several; where a client lists values one by one, the parameter stands there so often. */
  among?(parameter: string): string
  /** What makes INSERT leave a row alone that is there, or replace it, where that is not ON CONFLICT. */
  readonly orIgnore?: string
  readonly orReplace?: string
  /** DELETE of some rows among many. */
  removeSome(condition: string, order: string, limit: number): string
  /** What sorts before every ID, where a text of no letters does not. */
  readonly lowest?: string
  /** How many rows one statement of a sweep removes, and one that clears the table. */
  readonly sweepSize: number
  readonly clearSize: number
}

export type StatementName = keyof ReturnType<typeof statementsOf>

/** Every statement of a store. Each reads or changes one row by its key, or a page of rows by an index. */
export function statementsOf(parts: Parts) {
  const { table, id, text, expires, readText = text, readExpires = expires, time = String } = parts
  const replaced = [text, expires].map((column) => `${column} = excluded.${column}`).join(', ')
  const row = `${id} = @id`
  const live = `${expires} > ${time('@now')}`
  const over = `${expires} <= ${time('@now')}`
  const insert = `INSERT INTO ${table} (${id}, ${text}, ${expires}) VALUES (@id, @text, ${time('@expires')})`
  const found = `${readText} AS text, ${readExpires} AS expires`
  const isSession = `substr(${id}, 1, ${LOCK_PREFIX.length}) <> '${LOCK_PREFIX}'`
  const page = `${id} > @after AND ${live} ORDER BY ${id} LIMIT ${PAGE_SIZE}`
  return {
    read: `SELECT ${found} FROM ${table} WHERE ${row}`,
    readMany: parts.among && `SELECT ${id} AS id, ${found} FROM ${table} WHERE ${parts.among('@ids')}`,
    create: `${insert} ${parts.orIgnore ?? 'ON CONFLICT DO NOTHING'}`,
    put: `${insert} ${parts.orReplace ?? `ON CONFLICT (${id}) DO UPDATE SET ${replaced}`}`,
    write: `UPDATE ${table} SET ${text} = @text, ${expires} = ${time('@expires')} WHERE ${row} AND ${parts.same('@expected')} AND ${live}`,
    extend: `UPDATE ${table} SET ${text} = ${parts.refreshed}, ${expires} = ${time('@expires')} WHERE ${row} AND ${live} AND NOT ${parts.isForwarding}`,
    remove: `DELETE FROM ${table} WHERE ${row}`,
    bury: `DELETE FROM ${table} WHERE ${row} AND ${over}`,
    release: `DELETE FROM ${table} WHERE ${row} AND ${parts.same('@text')}`,
    list: `SELECT ${id} AS id, ${found} FROM ${table} WHERE ${parts.user} = ${parts.userValue} AND ${page}`,
    page: `SELECT ${id} AS id, ${found} FROM ${table} WHERE ${page}`,
    ids: `SELECT ${id} AS id FROM ${table} WHERE ${page}`,
    count: `SELECT COUNT(*) AS sessions FROM ${table} WHERE ${live} AND ${isSession}`,
    sweep: parts.removeSome(over, expires, parts.sweepSize),
    clear: parts.removeSome(isSession, id, parts.clearSize)
  }
}

export function statementOf(sql: string, numbered: boolean): Statement {
  const parameters: string[] = []
  const placed = sql.replace(/@([a-z]+)/g, (_, name: string) => {
    const known = numbered ? parameters.indexOf(name) + 1 : 0
    if (known > 0) return `$${known}`
    parameters.push(name)
    return numbered ? `$${parameters.length}` : '?'
  })
  return { sql: placed, parameters, selects: /^SELECT/.test(sql) }
}

export const NAME = '1 to 40 letters, digits, "_", "$", "-", "." or spaces, in at most 56 bytes'

// What needs no more than quotes; short enough for the names of indexes as well: PostgreSQL cuts off what is over 63 bytes.
export function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[\p{L}\p{N}_$ .-]{1,40}$/u.test(name) && Buffer.byteLength(name) <= 56
}

/**
 * What a client's error says, in one that is fit for a log: clients and servers add rows, parameters and statements to
 * theirs.
 */
export function withoutValues(err: unknown, message: (text: string) => string = String): unknown {
  if (!(err instanceof Error)) return err
  const kept: Record<string, unknown> = {}
  for (const key of ['name', 'code', 'errno', 'sqlState', 'severity', 'syscall', 'address', 'port']) {
    const value = (err as unknown as Record<string, unknown>)[key]
    if (value !== undefined && value !== null) kept[key] = value
  }
  // Where none of several addresses answered, the message is empty.
  return Object.assign(new Error(message(err.message || String(kept.code ?? err.name))), kept)
}

/** A fault by the name that the database has for it: one without a name is that of a connection. */
export function faultOf(name: unknown, hints: Record<string, string>, fault: Omit<Fault, 'reason'>): Fault {
  if (typeof name !== 'string' || !/^[A-Z0-9_]+$/.test(name)) return { reason: 'did not answer', cause: fault.cause }
  return { ...fault, reason: `failed: ${name}${name in hints ? ` (${hints[name]})` : ''}` }
}

export function quoteName(name: string, mark = '"'): string {
  return mark + name.replaceAll(mark, mark + mark) + mark
}
