import { SessionError, unavailable } from '../../base/errors'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../../base/time'
import {
  statementOf,
  statementsOf,
  type Answered,
  type Dialect,
  type Driver,
  type Schema,
  type Statement,
  type StatementName
} from './dialect'

/** Who lost a deadlock, or a serializable transaction, tries again so often. */
const ATTEMPTS_MAX = 5
const PAUSE: Milliseconds = 10

interface Opened {
  readonly schema: Schema
  readonly statements: Record<StatementName, Statement>
}

/** The table of a store, looked at when it is first needed. */
export class SqlTable {
  readonly driver: Driver
  readonly #dialect: Dialect
  readonly #createTable: boolean
  #opened: Opened | undefined
  #opening: Promise<Opened> | undefined

  constructor(driver: Driver, dialect: Dialect, createTable: boolean) {
    this.driver = driver
    this.#dialect = dialect
    this.#createTable = createTable
  }

  /** What is known of the table, which is looked at only once. */
  open(): MaybePromise<Schema> {
    return chain(this.#open(), ({ schema }) => schema)
  }

  /** @throws {SessionError} `ERR_SESSION_STORE`, status 503, when the database fails */
  run(name: StatementName, values: Record<string, unknown>): MaybePromise<Answered> {
    if (this.#dialect.unfit?.test(values.id as string)) return this.#runUnfit(name)
    return this.#opened === undefined
      ? chain(this.#open(), (opened) => this.#run(opened, name, values))
      : this.#run(this.#opened, name, values)
  }

  // No session is there, and none can be made.
  #runUnfit(name: StatementName): Answered {
    if (name !== 'create' && name !== 'put') return { rows: [], changes: 0 }
    throw new SessionError(
      'ERR_SESSION_OPTION',
      `${this.#dialect.database} cannot keep a session under this ID: let genid return letters, digits, "-" and "_".`
    )
  }

  /** Adds what the table lacks, and answers what it ran. */
  migrate(): MaybePromise<string[]> {
    const done: string[] = []
    const define = (definitions: readonly string[], index = 0): MaybePromise<string[]> => {
      const sql = definitions[index]
      if (sql === undefined) {
        this.#opened = undefined
        return done
      }
      return chain(
        this.#guard(() => this.driver.define(sql)),
        () => {
          done.push(sql)
          return define(definitions, index + 1)
        }
      )
    }
    return chain(this.#describe(), (schema) => define(schema === undefined ? this.#dialect.creation : schema.lacks))
  }

  #run({ schema, statements }: Opened, name: StatementName, values: Record<string, unknown>): MaybePromise<Answered> {
    const statement = statements[name]
    const list = statement.parameters.map((parameter, i, { length }) => {
      const value = values[parameter]
      if (parameter === 'ids' && length > 1) return (value as string[])[i] ?? (value as string[])[0]
      if (parameter === 'expires') return schema.times.expiry(value as number | null)
      return parameter === 'now' ? schema.times.now(value as number) : value
    })
    return this.#guard(() => this.driver.run(statement, list))
  }

  #open(): MaybePromise<Opened> {
    if (this.#opened !== undefined) return this.#opened
    if (this.#opening !== undefined) return this.#opening
    const opening = chain(this.#describe(), (schema) => {
      if (schema !== undefined) return this.#know(schema)
      if (!this.#createTable) throw this.#missing()
      return chain(this.migrate(), () =>
        chain(this.#describe(), (made) => {
          if (made === undefined) throw this.#missing()
          return this.#know(made)
        })
      )
    })
    if (!isPromise(opening)) return opening
    // One that fails is tried again by whoever comes next.
    return (this.#opening = opening.finally(() => (this.#opening = undefined)))
  }

  #know(schema: Schema): Opened {
    const texts = Object.entries(statementsOf(schema.parts)) as [StatementName, string | undefined][]
    const statements = Object.fromEntries(
      texts.map(([name, sql]) => [name, sql && statementOf(sql, this.#dialect.numbered)])
    ) as Record<StatementName, Statement>
    return (this.#opened = { schema, statements })
  }

  #describe(): MaybePromise<Schema | undefined> {
    const { description, numbered, table, columns: wanted } = this.#dialect
    const statement = statementOf(description, numbered)
    const values = statement.parameters.map(() => table)
    const described = this.#guard(() => this.driver.run(statement, values))
    return chain(described, ({ rows }) => {
      if (rows.length === 0) return undefined
      const named = (kind: string) =>
        new Map(rows.filter((row) => row.kind === kind).map(({ name, detail }) => [name as string, detail]))
      const columns = named('column')
      const schema = this.#dialect.schemaOf(columns, named('index'))
      if (schema !== undefined) return schema
      throw new SessionError(
        'ERR_SESSION_STORE',
        `The table ${table} is none of sessions: it has the columns ${[...columns.keys()].join(', ')}, and must have ${wanted}.`
      )
    })
  }

  #missing(): SessionError {
    const sql = this.#dialect.creation.map((definition) => `${definition};`).join('\n')
    return unavailable(
      `There is no table for the sessions. Give the store \`createTable: true\`, call its migrate() once, or run:\n${sql}`
    )
  }

  #guard<T>(work: () => MaybePromise<T>, attempt = 1): MaybePromise<T> {
    try {
      const result = work()
      if (!isPromise(result)) return result
      return result.catch(async (err) => {
        if (attempt === ATTEMPTS_MAX || !this.#dialect.faultOf(err).undone) return this.#fail(err)
        await new Promise((resolve) => setTimeout(resolve, attempt * PAUSE * (1 + Math.random())))
        return this.#guard(work, attempt + 1)
      })
    } catch (err) {
      return this.#fail(err)
    }
  }

  #fail(err: unknown): never {
    if (err instanceof SessionError) throw err
    const { reason, cause } = this.#dialect.faultOf(err)
    // It may have been dropped, or altered: it is looked at again.
    this.#opened = undefined
    throw unavailable(`${this.#dialect.database} ${reason}`, cause)
  }
}
