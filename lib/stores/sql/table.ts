import { SessionError, unavailable } from '../../base/errors'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../../base/time'
import { statementOf, statementsOf } from './dialect'
import type { Answered, Dialect, Driver, Schema, Statement, StatementName } from './dialect'

/** Who lost a deadlock, or a serializable transaction, tries again so often. */
const ATTEMPTS_MAX = 5
const PAUSE: Milliseconds = 10

interface Opened {
  readonly schema: Schema
  readonly statements: Record<StatementName, Statement>
}

/** The table of a store, looked at when it is first needed. */
export function sqlTable(driver: Driver, dialect: Dialect, createTable: boolean) {
  let opened: Opened | undefined
  let opening: Promise<Opened> | undefined

  const unfitId = (cause?: unknown) =>
    new SessionError(
      'ERR_SESSION_OPTION',
      `${dialect.database} cannot keep a session under this ID: let genid return letters, digits, "-" and "_", no more than the column takes.`,
      { cause }
    )
  const fail = (err: unknown): never => {
    if (err instanceof SessionError) throw err
    const { reason, cause, unfit } = dialect.faultOf(err)
    if (unfit === 'ERR_SESSION_OPTION') throw unfitId(cause)
    if (unfit !== undefined)
      throw new SessionError(unfit, `${dialect.database} cannot keep the session: it ${reason}`, { cause })
    // It may have been dropped, or altered: it is looked at again.
    opened = undefined
    throw unavailable(`${dialect.database} ${reason}`, cause)
  }
  const guard = <T>(work: () => MaybePromise<T>, attempt = 1): MaybePromise<T> => {
    try {
      const result = work()
      if (!isPromise(result)) return result
      return result.catch(async (err) => {
        if (attempt === ATTEMPTS_MAX || !dialect.faultOf(err).undone) return fail(err)
        await new Promise((resolve) => setTimeout(resolve, attempt * PAUSE * (1 + Math.random())))
        return guard(work, attempt + 1)
      })
    } catch (err) {
      return fail(err)
    }
  }

  const describe = (): MaybePromise<Schema | undefined> => {
    const { description, numbered, table, columns: wanted } = dialect
    const statement = statementOf(description, numbered)
    const values = statement.parameters.map(() => table)
    return chain(
      guard(() => driver.run(statement, values)),
      ({ rows }) => {
        const named = (kind: string) =>
          new Map(rows.filter((row) => row.kind === kind).map(({ name, detail }) => [name as string, detail]))
        const columns = named('column')
        if (columns.size === 0) return undefined
        const schema = dialect.schemaOf(columns, named('index'), named('mode'))
        if (schema !== undefined) return schema
        throw new SessionError(
          'ERR_SESSION_STORE',
          `The table ${table} is none of sessions: it has the columns ${[...columns.keys()].join(', ')}, and must have ${wanted}.`
        )
      }
    )
  }
  const migrate = (): MaybePromise<string[]> => {
    const done: string[] = []
    const define = (definitions: readonly string[], index = 0): MaybePromise<string[]> => {
      const sql = definitions[index]
      if (sql === undefined) {
        opened = undefined
        return done
      }
      return chain(
        guard(() => driver.define(sql)),
        () => {
          done.push(sql)
          return define(definitions, index + 1)
        }
      )
    }
    return chain(describe(), (schema) => define(schema === undefined ? dialect.creation : schema.lacks))
  }
  const know = (schema: Schema | undefined): Opened => {
    if (schema === undefined) {
      const sql = dialect.creation.map((definition) => `${definition};`).join('\n')
      throw unavailable(
        `There is no table for the sessions. Give the store \`createTable: true\`, call its migrate() once, or run:\n${sql}`
      )
    }
    const texts = Object.entries(statementsOf(schema.parts)) as [StatementName, string | undefined][]
    const statements = Object.fromEntries(
      texts.map(([name, sql]) => [name, sql && statementOf(sql, dialect.numbered)])
    ) as Record<StatementName, Statement>
    return (opened = { schema, statements })
  }
  const open = (): MaybePromise<Opened> => {
    if (opened !== undefined) return opened
    if (opening !== undefined) return opening
    const looked = chain(describe(), (schema) =>
      schema === undefined && createTable ? chain(migrate(), () => chain(describe(), know)) : know(schema)
    )
    if (!isPromise(looked)) return looked
    // One that fails is tried again by whoever comes next.
    return (opening = looked.finally(() => (opening = undefined)))
  }

  // No session is there, and none can be made.
  const runUnfit = (name: StatementName): Answered => {
    if (name !== 'create' && name !== 'put') return { rows: [], changes: 0 }
    throw unfitId()
  }

  const runIn = ({ schema, statements }: Opened, name: StatementName, values: Record<string, unknown>) => {
    const statement = statements[name]
    const list = statement.parameters.map((parameter, i, { length }) => {
      const value = values[parameter]
      if (parameter === 'ids' && length > 1) return (value as string[])[i] ?? (value as string[])[0]
      if (parameter === 'expires') return schema.times.expiry(value as number | null)
      return parameter === 'now' ? schema.times.now(value as number) : value
    })
    return guard(() => driver.run(statement, list))
  }

  return {
    sync: driver.sync,
    /** What is known of the table, which is looked at only once. */
    open: () => chain(open(), ({ schema }) => schema),
    /** @throws {SessionError} `ERR_SESSION_STORE`, status 503, when the database fails */
    run(name: StatementName, values: Record<string, unknown>): MaybePromise<Answered> {
      if (dialect.unfit?.test(values.id as string)) return runUnfit(name)
      return opened === undefined ? chain(open(), (found) => runIn(found, name, values)) : runIn(opened, name, values)
    },
    /** Adds what the table lacks, and answers what it ran. */
    migrate
  }
}

export type SqlTable = ReturnType<typeof sqlTable>
