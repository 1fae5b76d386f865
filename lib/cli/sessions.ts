import { hashOf } from '../base/hash'
import type { Milliseconds } from '../base/time'
import type { SessionEntry } from '../manage/manager'
import type { StoreKey } from '../store/port'
import { callStore, type Method } from '../store/call'
import { CommandError, EXIT, table, timeJson, timeText } from './command'
import type { Call, Command, Option, Outcome } from './command'
import { PLACE_OPTIONS, withPlace, type Place } from './place'

const SHOW: Readonly<Record<string, Option>> = {
  'show-ids': { type: 'boolean', help: 'print session IDs: who has one may have the session' },
  'show-data': { type: 'boolean', help: 'print what is in the sessions' }
}
const ASKS = 'It asks before, and where nobody can be asked it needs --yes.'
const YES: Readonly<Record<string, Option>> = { yes: { type: 'boolean', help: 'do not ask before' } }

interface PlaceCommand extends Omit<Command, 'options' | 'run'> {
  readonly options?: Command['options']
  run(place: Place, call: Call): Promise<Outcome>
}

const COMMANDS: readonly PlaceCommand[] = [
  {
    name: 'list',
    argument: 'USER',
    help: 'Lists the sessions of a user, the last used first.\n\nIt needs a store that keeps an index of users, and an application with the option userId.',
    options: SHOW,
    run: list
  },
  {
    name: 'show',
    argument: 'ID',
    help: 'Shows one session.\n\nID: - reads it from standard input.',
    options: SHOW,
    run: show
  },
  { name: 'revoke', argument: 'USER', help: `Ends the sessions of a user.\n\n${ASKS}`, options: YES, run: revoke },
  { name: 'stats', help: 'Counts the sessions of a store.', run: stats },
  {
    name: 'purge',
    help: 'Removes from the store what is over.\n\nRedis, memcached and MongoDB do so by themselves: there is nothing to do.',
    run: purge
  },
  {
    name: 'reindex',
    help: 'Indexes the sessions that were stored before the application had the option userId.\n\nThe application itself says whose a session is: it needs --config with `auth`.',
    run: reindex
  },
  { name: 'clear', help: `Ends every session of a store.\n\n${ASKS}`, options: YES, run: clear }
]

export const SESSION_COMMANDS: readonly Command[] = COMMANDS.map((command) => ({
  ...command,
  options: { ...PLACE_OPTIONS, ...command.options },
  async run(call) {
    // As of a variable of a script that is not set: "No sessions" would be no answer.
    if (command.argument !== undefined && call.argument === '') {
      throw new CommandError(`${command.argument} is empty.`)
    }
    return withPlace(call.values, call.terminal, (place) => command.run(place, call))
  }
}))

/** Tells sessions apart, and says nothing of their IDs. */
export function handleOf(id: string): string {
  return hashOf('sha256', id, 'base64url').slice(0, 8)
}

async function list(place: Place, { argument, values }: Call): Promise<Outcome> {
  const entries = (await place.auth.list(argument)).sort((a, b) => (b.lastUsedAt ?? 0) - (a.lastUsedAt ?? 0))
  const ends = await Promise.all(entries.map((entry) => endOf(place, entry)))
  const rows = entries.map((entry, at) => [
    values['show-ids'] === true ? entry.id : handleOf(entry.id),
    ...[entry.createdAt, entry.lastUsedAt, ends[at]].map(timeText),
    ...(values['show-data'] === true ? [JSON.stringify(entry.data)] : [])
  ])
  const heads = ['SESSION', 'CREATED', 'LAST USED', 'ENDS', ...(values['show-data'] === true ? ['DATA'] : [])]
  const text = entries.length === 0 ? 'No sessions.\n' : table([heads, ...rows])
  return { text, json: { store: place.name, sessions: entries.map((entry, at) => jsonOf(entry, ends[at], values)) } }
}

async function show(place: Place, { argument, values }: Call): Promise<Outcome> {
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
}

async function revoke({ name, auth }: Place, call: Call): Promise<Outcome> {
  const count = (await auth.list(call.argument)).length
  if (count > 0) await agree(call, `End ${sessions(count)} of this user in ${name}?`)
  const revoked = count === 0 ? 0 : await auth.revoke(call.argument)
  return { text: `Ended ${sessions(revoked)}.\n`, json: { store: name, revoked } }
}

async function stats(place: Place): Promise<Outcome> {
  const live = await count(place)
  return { text: `${place.name}: ${sessions(live)}\n`, json: { store: place.name, sessions: live } }
}

async function purge(place: Place): Promise<Outcome> {
  const swept = typeof (place.store as { sweep?: unknown } | undefined)?.sweep === 'function'
  if (swept) await ask(place.store, 'sweep')
  const live = await count(place).catch(() => undefined)
  const text = swept ? 'Removed what was over.' : 'This store has no sweep(): nothing was done.'
  const left = live === undefined ? '' : ` ${sessions(live)} left.`
  return { text: `${text}${left}\n`, json: { store: place.name, swept, sessions: live } }
}

async function reindex({ name, auth, configured }: Place): Promise<Outcome> {
  if (!configured) throw new CommandError('reindex needs --config with `auth`: it knows whose a session is.')
  const progress = await auth.reindex()
  const text = `Looked at ${sessions(progress.seen)}, indexed ${progress.indexed}.\n`
  return { text, json: { store: name, ...progress } }
}

async function clear(place: Place, call: Call): Promise<Outcome> {
  const live = await count(place)
  await agree(call, `End ${sessions(live)}, all there are, in ${place.name}?`)
  await ask(place.store, 'clear')
  return { text: `Ended ${sessions(live)}.\n`, json: { store: place.name, cleared: live } }
}

async function agree({ values, terminal }: Call, question: string): Promise<void> {
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
  if (store === undefined) throw new CommandError('Export `store` as well: this is another copy of silverback.')
  if (typeof method !== 'function') throw new CommandError(`This store cannot do that: it has no ${verb}().`)
  return callStore<T>(store, method as Method, [])
}

/** The application's limits decide; where they are not known, the store may tell when it lets go of a session. */
export async function endOf(
  { configured, engine }: Place,
  entry: SessionEntry
): Promise<Milliseconds | null | undefined> {
  if (configured || (entry.lastUsedAt !== undefined && entry.expiresAt !== null)) return entry.expiresAt
  const { port } = engine!.settings
  // What a store of others extends need not be in its record.
  if (!port.native) return undefined
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
