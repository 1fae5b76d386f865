import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { hasMethods } from '../base/errors'
import { MINUTE } from '../base/time'
import { generateKey } from '../cookie/keys'
import type { Engine } from '../engine/engine'
import { createSessions, engineOf, type SessionsHandler } from '../manage/sessions'
import { isRecord } from '../record/record'
import type { StoreContract } from '../store/contract'
import { CommandError, EXIT, textOf, type Option, type Terminal, type Values } from './command'
import { openUrl, STORE_OPTIONS } from './store-url'

/** Where sessions are, and the manager of them. */
export interface Place {
  readonly name: string
  /** The application's own middleware, or one that knows no limits: whatever the store keeps is a session. */
  readonly auth: SessionsHandler
  readonly engine: Engine | undefined
  readonly store: StoreContract | undefined
  /** Whether `auth` is the application's. */
  readonly configured: boolean
}

const CONFIG: Option = {
  type: 'string',
  value: 'FILE',
  help: 'a module of yours that exports `auth`, what sessions() returned, or `store`; one of them may be its default'
}

export const PLACE_OPTIONS: Readonly<Record<string, Option>> = {
  store: {
    type: 'string',
    value: 'URL',
    help: 'redis:, rediss:, postgres:, mysql:, sqlite:FILE, memcached:, mongodb: or file:FOLDER; default: $SILVERBACK_STORE'
  },
  config: CONFIG,
  ...STORE_OPTIONS,
  'hash-ids': { type: 'boolean', help: 'the application has the option hashIds (with --store)' }
}

/** Works on the sessions that the options name, and lets go of them. */
export async function withPlace<T>(
  values: Values,
  terminal: Pick<Terminal, 'env'>,
  work: (place: Place) => Promise<T>
): Promise<T> {
  const config = textOf(values, 'config')
  const url = textOf(values, 'store')
  if (config !== undefined) {
    if (url !== undefined) throw new CommandError('Give either --store or --config.')
    return work(await configured(config, values))
  }
  const given = url ?? terminal.env.SILVERBACK_STORE
  if (!given) throw new CommandError('Which store? Give --store URL, --config FILE or the variable SILVERBACK_STORE.')
  const { store, place, close } = await openUrl(given, values)
  try {
    return await work(placeOf(place, store, values))
  } finally {
    // What a client has to say of its end changes nothing.
    await close().catch(() => undefined)
  }
}

async function configured(file: string, values: Values): Promise<Place> {
  const { auth, store } = await load(file)
  if (auth === undefined) return placeOf(file, store!, values)
  const engine = engineOf(auth)
  return { name: file, auth, engine, store: store ?? engine?.settings.port.store, configured: true }
}

function placeOf(name: string, store: StoreContract, values: Values): Place {
  // A list of many sessions takes longer than a request would wait.
  const limits = { idle: null, absolute: null, hashIds: values['hash-ids'] === true, storeTimeout: MINUTE }
  const auth = createSessions({ store, secret: generateKey(), userId: () => undefined, ...limits })
  return { name, auth, engine: engineOf(auth), store, configured: false }
}

export async function load(
  file: string
): Promise<{ auth: SessionsHandler | undefined; store: StoreContract | undefined }> {
  let exported: Record<string, unknown>
  try {
    exported = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  } catch (err) {
    throw new CommandError(`${file} cannot be loaded: ${(err as Error).message}`, EXIT.failed)
  }
  const main: unknown = await exported.default
  const inside = isRecord(main) ? main : {}
  const { auth: ours, store: kept, default: inner } = inside
  const found = await Promise.all([exported.auth, ours, main, inner, exported.store, kept])
  const auth = found.find(isManager)
  const store = found.find(isStore)
  if (auth === undefined && store === undefined) {
    throw new CommandError(`${file} exports neither \`auth\`, what sessions() returned, nor \`store\`.`)
  }
  return { auth, store }
}

function isManager(value: unknown): value is SessionsHandler {
  return typeof value === 'function' && hasMethods(value, 'list', 'revoke')
}

function isStore(value: unknown): value is StoreContract {
  return typeof value === 'object' && hasMethods(value, 'get', 'set', 'destroy')
}
