import { Gathering } from '../../base/gather'
import { hashOf } from '../../base/hash'
import { SessionError } from '../../base/errors'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../../base/time'
import { warnOnce } from '../../base/warnings'
import { decodeRecord } from '../../record/record'
import type { EXPIRED, Found, Life, Listed, LockPower, Write } from '../../store/contract'
import { live, loaded, type ListedPowers } from '../record-store'
import { LOCK_PREFIX, PAGE_SIZE, TOGETHER_MAX, type Row, type StatementName, type Times } from './dialect'
import type { SqlTable } from './table'

const ATTEMPTS_MAX = 3

/** The powers of every store in SQL: one statement each, and a second one where the first tells that it was too late. */
export class SqlPowers implements ListedPowers {
  readonly sync: boolean
  readonly remote: boolean
  readonly ttl: Milliseconds
  readonly lock: LockPower
  readonly #table: SqlTable
  // A statement is most of what a request costs that reads, and one for several hardly more than one.
  readonly #reads: Gathering<string, Found | null>

  constructor(table: SqlTable, ttl: Milliseconds) {
    this.#table = table
    this.#reads = new Gathering(
      async (id) => this.#findOne(id),
      async (ids) => this.#findMany(ids),
      TOGETHER_MAX
    )
    this.sync = table.driver.sync
    this.remote = !this.sync
    this.ttl = ttl
    this.lock = lockIn(this, table)
  }

  read(id: string): MaybePromise<Found | null> {
    return chain(this.#find(id), live)
  }

  load(id: string): MaybePromise<Found | typeof EXPIRED | null> {
    return chain(this.#find(id), (found) => loaded(found, () => this.#changed('bury', { id, now: Date.now() })))
  }

  write({ id, text, expected, life }: Write): MaybePromise<true | Found | null> {
    if (expected === null) {
      return chain(this.create(id, text, life), (created) => {
        if (created !== null) return created
        throw new SessionError('ERR_SESSION_STORE', 'The table of the sessions neither takes a row nor has it.')
      })
    }
    const values = { id, text, expected, expires: life.expiresAt, now: Date.now() }
    return chain(this.#changed('write', values), (written) => written || this.read(id))
  }

  /**
   * Makes a row where there is none; what is there otherwise. What is over is removed first, so that INSERT never
   * replaces anything. `null` when others are making and removing it all the time.
   */
  create(id: string, text: string, life: Life, attempt = 1): MaybePromise<true | Found | null> {
    return chain(this.#changed('create', { id, text, expires: life.expiresAt }), (created) => {
      if (created) return true
      return chain(this.read(id), (found) => {
        if (found !== null || attempt === ATTEMPTS_MAX) return found
        const over = this.#table.run('bury', { id, now: Date.now() })
        return chain(over, () => this.create(id, text, life, attempt + 1))
      })
    })
  }

  /** Keeps a record, whatever was kept before. */
  put(id: string, text: string, life: Life): MaybePromise<unknown> {
    return this.#table.run('put', { id, text, expires: life.expiresAt })
  }

  // The cookie in the record stays what it was, as with the stores whose tables these are.
  extend(id: string, { usedAt, expiresAt }: Life): MaybePromise<boolean> {
    return this.#changed('extend', { id, used: String(usedAt), expires: expiresAt, now: Date.now() })
  }

  remove(id: string, _user?: string, expected?: string): MaybePromise<boolean | Found> {
    if (expected === undefined) return this.#changed('remove', { id })
    const removed = this.#changed('release', { id, text: expected })
    return chain(removed, (done) => done || chain(this.read(id), (found) => found ?? false))
  }

  list(user: string): MaybePromise<Listed[]> {
    const listed: Listed[] = []
    return chain(this.#table.open(), ({ indexed }) => {
      if (!indexed) {
        warnOnce(
          'SILVERBACK_NO_USER_INDEX',
          'The table of the sessions has no index of users, so every session is looked at to list those of one user: ' +
            'call migrate() on the store once.'
        )
      }
      const visit = (found: Listed) => {
        // The database may take two users for one, by case or by length.
        if (decodeRecord(found.text)?.meta?.i === user) listed.push(found)
      }
      const escaped = JSON.stringify(user).slice(1, -1)
      return chain(this.#pages('list', { user, escaped }, visit), () => listed)
    })
  }

  /** Every live session, page by page. */
  each(visit: (found: Listed) => void): MaybePromise<void> {
    return this.#pages('page', {}, visit)
  }

  /** Removes every session, page by page. */
  clear(): MaybePromise<void> {
    return repeat(() => chain(this.#table.run('clear', {}), ({ changes }) => changes === PAGE_SIZE))
  }

  /** Removes a page of rows that are over; whether there may be more. */
  sweep(): MaybePromise<boolean> {
    return chain(this.#table.open(), ({ parts }) =>
      chain(this.#table.run('sweep', { now: Date.now() }), ({ changes }) => changes === parts.sweepSize)
    )
  }

  // What no row can have would fail for the others, too.
  #find(id: string): MaybePromise<Found | null> {
    return this.sync || id.includes('\0') ? this.#findOne(id) : this.#reads.ask(id)
  }

  async #findMany(ids: string[]): Promise<MaybePromise<Found | null>[]> {
    const { rows } = await this.#table.run('readMany', { ids })
    const { times } = await this.#table.open()
    const found = new Map((rows as Row[]).map((row) => [row.id, foundIn(row, times)]))
    // A column may pad IDs, or take one for another: only the database can tell then whose a row is.
    const isStrange = (rows as Row[]).some(({ id }) => !ids.includes(id))
    return ids.map((id) => found.get(id) ?? (isStrange ? this.#findOne(id) : null))
  }

  #findOne(id: string): MaybePromise<Found | null> {
    return chain(this.#table.run('read', { id }), ({ rows: [row] }) =>
      row === undefined ? null : chain(this.#table.open(), ({ times }) => foundIn(row as Row, times))
    )
  }

  #changed(name: StatementName, values: Record<string, unknown>): MaybePromise<boolean> {
    return chain(this.#table.run(name, values), ({ changes }) => changes > 0)
  }

  #pages(name: StatementName, values: object, visit: (found: Listed) => void): MaybePromise<void> {
    let after = ''
    return chain(this.#table.open(), ({ times }) =>
      repeat(() =>
        chain(this.#table.run(name, { ...values, after, now: Date.now() }), ({ rows }) => {
          for (const row of rows as Row[]) {
            after = row.id
            if (after.startsWith(LOCK_PREFIX)) continue
            visit({ id: after, ...foundIn(row, times) })
          }
          return rows.length === PAGE_SIZE
        })
      )
    )
  }
}

/** Locks as rows of the same table: made, extended and removed as a session is, with their holder as the record. */
function lockIn(powers: SqlPowers, table: SqlTable): LockPower {
  // An ID may be as long as its column.
  const keyOf = (id: string) => LOCK_PREFIX + hashOf('sha256', id, 'base64url')
  const textBy = (token: string) => JSON.stringify({ lock: token })
  const until = (ttl: Milliseconds): Life => ({ usedAt: Date.now(), expiresAt: Date.now() + ttl })
  return {
    acquire(id, token, ttl) {
      const created = powers.create(keyOf(id), textBy(token), until(ttl))
      // It may be the holder who asks again, after a connection that ended before the answer came.
      return chain(created, (done) => done === true || holderOf(done) === token)
    },
    renew(id, token, ttl) {
      const text = textBy(token)
      return chain(powers.write({ id: keyOf(id), text, expected: text, life: until(ttl) }), (done) => done === true)
    },
    release: (id, token) => chain(table.run('release', { id: keyOf(id), text: textBy(token) }), () => undefined)
  }
}

function holderOf(found: Found | null): unknown {
  try {
    return (JSON.parse(found!.text) as { lock?: unknown }).lock
  } catch {
    return undefined
  }
}

// A column of no type may hold numbers and bytes: no session, and no reason to fail.
function foundIn({ text, expires }: Row, times: Times): Found {
  return { text: typeof text === 'string' ? text : '', expiresAt: times.read(expires) }
}

/** Does something again and again, as long as it answers that there is more. */
function repeat(step: () => MaybePromise<boolean>): MaybePromise<void> {
  for (;;) {
    const more = step()
    if (isPromise(more)) return more.then((goOn) => (goOn ? repeat(step) : undefined))
    if (!more) return
  }
}
