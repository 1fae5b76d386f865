import { hashOf } from '../base/hash'
import { DAY, HOUR, type Milliseconds } from '../base/time'
import type { SessionEntry } from '../manage/manager'
import type { StoreKey } from '../store/port'
import { callStore, type Method } from '../store/call'
import {
  CommandError,
  EXIT,
  table,
  timeJson,
  timeText,
  type Call,
  type Command,
  type Option,
  type Outcome
} from './command'
import { PLACE_OPTIONS, withPlace, type Place } from './place'

const SHOW: Readonly<Record<string, Option>> = {
  'show-ids': { type: 'boolean', help: 'print session IDs: who has one may have the session' },
  'show-data': { type: 'boolean', help: 'print what is in the sessions' }
}
const YES: Readonly<Record<string, Option>> = { yes: { type: 'boolean', help: 'do not ask before' } }
const BATCH = 100

export const SESSION_COMMANDS: readonly Command[] = [
  {
    name: 'list',
    argument: 'USER',
    help: 'Lists the sessions of a user.\n\nIt needs a store that keeps an index of users, and an application with the option userId.',
    options: { ...PLACE_OPTIONS, ...SHOW },
    run: list
  },
  {
    name: 'show',
    argument: 'ID',
    help: 'Shows one session.\n\nID: - reads it from standard input.',
    options: { ...PLACE_OPTIONS, ...SHOW },
    run: show
  },
  {
    name: 'revoke',
    argument: 'USER',
    help: 'Ends the sessions of a user.\n\nIt asks before, and where nobody can be asked it needs --yes.',
    options: { ...PLACE_OPTIONS, ...YES },
    run: revoke
  },
  {
    name: 'stats',
    help: 'Counts the sessions of a store.',
    options: { ...PLACE_OPTIONS, walk: { type: 'boolean', help: 'read each of them: their use, age and size' } },
    run: stats
  },
  {
    name: 'purge',
    help: 'Removes from the store what is over.\n\nRedis, memcached and MongoDB do so by themselves.',
    options: PLACE_OPTIONS,
    run: purge
  },
  {
    name: 'reindex',
    help: 'Indexes the sessions that were stored before the application had the option userId.\n\nThe application itself says whose a session is: it needs --config with `auth`.',
    options: PLACE_OPTIONS,
    run: reindex
  },
  {
    name: 'clear',
    help: 'Ends every session of a store.\n\nIt asks before, and where nobody can be asked it needs --yes.',
    options: { ...PLACE_OPTIONS, ...YES },
    run: clear
  }
]

/** Tells sessions apart, and says nothing of their IDs. */
export function handleOf(id: string): string {
  return hashOf('sha256', id, 'base64url').slice(0, 8)
}

function list({ argument, values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async (place) => {
    const entries = await place.auth.list(argument)
    const ends = await Promise.all(entries.map((entry) => endOf(place, entry)))
    const rows = entries.map((entry, at) => [
      values['show-ids'] === true ? entry.id : handleOf(entry.id),
      ...[entry.createdAt, entry.lastUsedAt, ends[at]].map(timeText),
      ...(values['show-data'] === true ? [JSON.stringify(entry.data)] : [])
    ])
    const heads = ['SESSION', 'CREATED', 'LAST USED', 'ENDS', ...(values['show-data'] === true ? ['DATA'] : [])]
    const text = entries.length === 0 ? 'No sessions.\n' : table([heads, ...rows])
    return { text, json: { store: place.name, sessions: entries.map((entry, at) => jsonOf(entry, ends[at], values)) } }
  })
}

function show({ argument, values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async (place) => {
    const entry = await place.auth.get(argument)
    if (entry === null) return { exit: EXIT.found, text: 'There is no such session.\n', json: null }
    const end = await endOf(place, entry)
    const rows = [
      ['session', values['show-ids'] === true ? entry.id : handleOf(entry.id)],
      ['created', timeText(entry.createdAt)],
      ['last used', timeText(entry.lastUsedAt)],
      ['ends', timeText(end)],
      ['size', `${sizeOf(entry)} bytes of data`],
      ...(values['show-data'] === true ? [['data', JSON.stringify(entry.data, null, 2)]] : [])
    ]
    return { text: table(rows), json: jsonOf(entry, end, values) }
  })
}

function revoke({ argument, values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async ({ name, auth }) => {
    const count = (await auth.list(argument)).length
    if (count > 0) await agree({ values, terminal }, `End ${sessions(count)} of this user in ${name}?`)
    const revoked = count === 0 ? 0 : await auth.revoke(argument)
    return { text: `Ended ${sessions(revoked)}.\n`, json: { store: name, revoked } }
  })
}

function stats({ values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async (place) => {
    if (values.walk !== true) {
      const live = await count(place)
      return { text: `${place.name}: ${sessions(live)}\n`, json: { store: place.name, sessions: live } }
    }
    const { oldest, ...counts } = await walk(place)
    const rows = Object.entries(counts).map(([key, value]) => [words(key), String(value)])
    const text = `${place.name}\n${table([...rows, ['oldest', timeText(oldest)]])}`
    return { text, json: { store: place.name, ...counts, oldest: timeJson(oldest) } }
  })
}

async function walk({ auth, store }: Place) {
  const ids = await ask<string[]>(store, 'ids')
  const counts = { sessions: 0, usedLastHour: 0, usedLastDay: 0, usedLastWeek: 0, bytesOfData: 0, largest: 0 }
  let oldest: Milliseconds | undefined
  const now = Date.now()
  for (let at = 0; at < ids.length; at += BATCH) {
    for (const entry of await Promise.all(ids.slice(at, at + BATCH).map((id) => auth.get(id)))) {
      if (entry === null) continue
      const size = sizeOf(entry)
      const idle = now - (entry.lastUsedAt ?? -Infinity)
      counts.sessions++
      if (idle <= HOUR) counts.usedLastHour++
      if (idle <= DAY) counts.usedLastDay++
      if (idle <= 7 * DAY) counts.usedLastWeek++
      counts.bytesOfData += size
      counts.largest = Math.max(counts.largest, size)
      if (entry.createdAt !== undefined && entry.createdAt < (oldest ?? Infinity)) oldest = entry.createdAt
    }
  }
  return { ...counts, oldest }
}

function purge({ values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async (place) => {
    const swept = typeof (place.store as { sweep?: unknown } | undefined)?.sweep === 'function'
    if (swept) await ask(place.store, 'sweep')
    const live = await count(place).catch(() => undefined)
    const text = swept ? 'Removed what was over.' : 'This store removes by itself what is over: nothing to do.'
    const left = live === undefined ? '' : ` ${sessions(live)} left.`
    return { text: `${text}${left}\n`, json: { store: place.name, swept, sessions: live } }
  })
}

function reindex({ values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async ({ name, auth, configured }) => {
    if (!configured) throw new CommandError('reindex needs --config with `auth`: it knows whose a session is.')
    const progress = await auth.reindex()
    const text = `Looked at ${sessions(progress.seen)}, indexed ${progress.indexed}.\n`
    return { text, json: { store: name, ...progress } }
  })
}

function clear({ values, terminal }: Call): Promise<Outcome> {
  return withPlace(values, terminal, async (place) => {
    const live = await count(place)
    await agree({ values, terminal }, `End ${sessions(live)}, all there are, in ${place.name}?`)
    await ask(place.store, 'clear')
    return { text: `Ended ${sessions(live)}.\n`, json: { store: place.name, cleared: live } }
  })
}

async function agree({ values, terminal }: Pick<Call, 'values' | 'terminal'>, question: string): Promise<void> {
  if (values.yes === true) return
  const answer = await terminal.confirm(question)
  if (answer === undefined) throw new CommandError(`${question} Nobody can be asked here: say --yes.`)
  if (!answer) throw new CommandError('Nothing was done.')
}

function count({ store }: Place): Promise<number> {
  return ask<number>(store, 'length')
}

// Stores of others answer by callback or by promise.
async function ask<T>(store: Place['store'], verb: string): Promise<T> {
  const method = (store as Record<string, unknown> | undefined)?.[verb]
  if (store === undefined)
    throw new CommandError('The module must export `store` as well: its silverback is another copy.')
  if (typeof method !== 'function') throw new CommandError(`This store cannot do that: it has no ${verb}().`)
  return callStore<T>(store, method as Method, [])
}

/** The application's limits decide; where they are not known, the store may tell when it lets go of a session. */
export async function endOf(
  { configured, engine }: Place,
  entry: SessionEntry
): Promise<Milliseconds | null | undefined> {
  if (configured || entry.expiresAt !== null) return entry.expiresAt
  const { port } = engine!.settings
  const found = (await port.readKey(port.keyOf(entry.id))) ?? (await port.readKey(entry.id as StoreKey))
  return found?.expiresAt
}

function jsonOf(entry: SessionEntry, end: Milliseconds | null | undefined, values: Call['values']): object {
  return {
    session: handleOf(entry.id),
    ...(values['show-ids'] === true && { id: entry.id }),
    createdAt: timeJson(entry.createdAt),
    lastUsedAt: timeJson(entry.lastUsedAt),
    endsAt: timeJson(end),
    bytes: sizeOf(entry),
    ...(values['show-data'] === true && { data: entry.data })
  }
}

function sizeOf({ data }: SessionEntry): number {
  return Buffer.byteLength(JSON.stringify(data))
}

function sessions(count: number): string {
  return count === 1 ? '1 session' : `${count} sessions`
}

// usedLastHour: used last hour
function words(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
