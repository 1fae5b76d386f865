import { Gathering } from '../../base/gather'
import { hashOf } from '../../base/hash'
import { SessionError } from '../../base/errors'
import { chain, isPromise, type MaybePromise, type Milliseconds } from '../../base/time'
import { warnOnce } from '../../base/warnings'
import { decodeRecord } from '../../record/record'
import { LOCK_PREFIX, type Found, type Life, type Listed, type LockPower, type Write } from '../../store/contract'
import { live, loaded, type ListedPowers } from '../record-store'
import { PAGE_SIZE, TOGETHER_MAX, type Row, type StatementName, type Times } from './dialect'
import type { SqlTable } from './table'

const ATTEMPTS_MAX = 3

export interface SqlPowers extends ListedPowers {
  readonly lock: LockPower
  /** Removes a page of rows that are over; whether there may be more. */
  sweep(): MaybePromise<boolean>
}

/** The powers of every store in SQL: one statement each, and a second one where the first tells that it was too late. */
export function sqlPowers(table: SqlTable, ttl: Milliseconds): SqlPowers {
  const { sync } = table
  const changed = (name: StatementName, values: Record<string, unknown>): MaybePromise<boolean> =>
    chain(table.run(name, values), ({ changes }) => changes > 0)
  const findOne = (id: string): MaybePromise<Found | null> =>
    chain(table.run('read', { id }), ({ rows: [row] }) =>
      row === undefined ? null : chain(table.open(), ({ times }) => foundIn(row as Row, times))
    )
  const findMany = async (ids: string[]): Promise<MaybePromise<Found | null>[]> => {
    const { rows } = await table.run('readMany', { ids })
    const { times } = await table.open()
    const found = new Map((rows as Row[]).map((row) => [row.id, foundIn(row, times)]))
    // A column may pad IDs, or take one for another: only the database can tell then whose a row is.
    const isStrange = (rows as Row[]).some(({ id }) => !ids.includes(id))
    return ids.map((id) => found.get(id) ?? (isStrange ? findOne(id) : null))
  }
  // A statement is most of what a request costs that reads, and one for several hardly more than one.
  const reads = new Gathering(async (id: string) => findOne(id), findMany, TOGETHER_MAX)
  // What no row can have would fail for the others, too.
  const find = (id: string) => (sync || id.includes('\0') ? findOne(id) : reads.ask(id))
  const read = (id: string) => chain(find(id), live)
  // Makes a row where there is none; what is there otherwise. What is over is removed first, so that INSERT never
  // replaces anything. `null` when others are making and removing it all the time.
  const create = (id: string, text: string, life: Life, attempt = 1): MaybePromise<true | Found | null> =>
    chain(changed('create', { id, text, expires: life.expiresAt }), (created) => {
      if (created) return true
      return chain(read(id), (found) => {
        if (found !== null || attempt === ATTEMPTS_MAX) return found
        const over = table.run('bury', { id, now: Date.now() })
        return chain(over, () => create(id, text, life, attempt + 1))
      })
    })
  const write = ({ id, text, expected, life }: Write): MaybePromise<true | Found | null> => {
    if (expected === null) {
      return chain(create(id, text, life), (created) => {
        if (created !== null) return created
        throw new SessionError('ERR_SESSION_STORE', 'The table of the sessions neither takes a row nor has it.')
      })
    }
    const values = { id, text, expected, expires: life.expiresAt, now: Date.now() }
    return chain(changed('write', values), (written) => written || read(id))
  }
  // Whether there may be more.
  const removes = (name: 'clear' | 'sweep') =>
    chain(table.open(), ({ parts }) =>
      chain(table.run(name, { now: Date.now() }), ({ changes }) => changes === parts[`${name}Size`])
    )
  const pages = (name: StatementName, values: object, visit: (found: Listed) => void, isPatient = false) => {
    return chain(table.open(), ({ times, parts: { lowest: after = '' } }) =>
      repeat(() => {
        const page = chain(table.run(name, { ...values, after, now: Date.now() }), ({ rows }) => {
          for (const row of rows as Row[]) {
            after = row.id
            if (after.startsWith(LOCK_PREFIX)) continue
            visit({ id: after, ...foundIn(row, times) })
          }
          return rows.length === PAGE_SIZE
        })
        return page === true && isPatient ? new Promise<boolean>((resolve) => setImmediate(resolve, true)) : page
      })
    )
  }
  return {
    sync,
    remote: !sync,
    ttl,
    // As rows of the same table: made, extended and removed as a session is, with their holder as the record.
    lock: {
      acquire(id, token, ttl) {
        const created = create(lockOf(id), textBy(token), lifeOf(ttl))
        // It may be the holder who asks again, after a connection that ended before the answer came.
        return chain(created, (done) => done === true || holderOf(done) === token)
      },
      renew(id, token, ttl) {
        const text = textBy(token)
        return chain(write({ id: lockOf(id), text, expected: text, life: lifeOf(ttl) }), (done) => done === true)
      },
      release: (id, token) => chain(table.run('release', { id: lockOf(id), text: textBy(token) }), () => undefined)
    },
    read,
    load: (id) => chain(find(id), (found) => loaded(found, () => changed('bury', { id, now: Date.now() }))),
    write,
    put: (id, text, life) => table.run('put', { id, text, expires: life.expiresAt }),
    // The cookie in the record stays what it was, as with the stores whose tables these are.
    extend: (id, { usedAt, expiresAt }) =>
      changed('extend', { id, used: String(usedAt), expires: expiresAt, now: Date.now() }),
    remove(id, _user, expected) {
      if (expected === undefined) return changed('remove', { id })
      const removed = changed('release', { id, text: expected })
      return chain(removed, (done) => done || chain(read(id), (found) => found ?? false))
    },
    list(user) {
      const listed: Listed[] = []
      return chain(table.open(), ({ indexed }) => {
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
        return chain(pages('list', { user, escaped }, visit), () => listed)
      })
    },
    each: (visit, isPatient) => pages('page', {}, visit, isPatient),
    ids(isPatient) {
      const ids: string[] = []
      return chain(
        pages('ids', {}, ({ id }) => ids.push(id), isPatient),
        () => ids
      )
    },
    count: () => chain(table.run('count', { now: Date.now() }), ({ rows: [row] }) => Number(row!.sessions)),
    clear: () => repeat(() => removes('clear')),
    sweep: () => removes('sweep')
  }
}

// An ID may be as long as its column.
function lockOf(id: string): string {
  return LOCK_PREFIX + hashOf('sha256', id, 'base64url')
}

function textBy(token: string): string {
  return JSON.stringify({ lock: token })
}

function lifeOf(ttl: Milliseconds): Life {
  const usedAt = Date.now()
  return { usedAt, expiresAt: usedAt + ttl }
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
