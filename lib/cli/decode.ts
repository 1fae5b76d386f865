import { readFileSync } from 'node:fs'
import { EmptyRequest } from '../base/http'
import type { Milliseconds } from '../base/time'
import { generateKey, type Secret } from '../cookie/keys'
import { deadline } from '../lifecycle/lifetime'
import { createSessions, engineOf } from '../manage/sessions'
import type { Settings } from '../options/settings'
import { CommandError, EXIT, listOf, table, textOf, timeJson, timeText } from './command'
import type { Call, Command, Outcome, Terminal, Values } from './command'
import { authenticate, formOf, givenCookies, SIGNED_HOW, type Authentic, type Given } from './formats'
import { load, PLACE_OPTIONS, withPlace } from './place'
import { endOf as endOfEntry, handleOf } from './sessions'

const ENCODINGS = ['utf8', 'hex', 'base64', 'base64url'] as const

export const secret: Command = {
  name: 'secret',
  help: 'Makes a secret: 32 random bytes as base64url.',
  options: {},
  run: async () => {
    const made = generateKey()
    return { text: `${made}\n`, json: { secret: made } }
  }
}

export const decode: Command = {
  name: 'decode',
  argument: 'COOKIE',
  help:
    'Tells what a session cookie is, which secret made it, and when it ends.\n\n' +
    'COOKIE: name=value, a value, or the line of a Cookie or Set-Cookie header; - reads it from standard input.\n' +
    'Where a store is named, it is asked when the session of a signed ID ends.',
  options: {
    name: { type: 'string', value: 'NAME', help: 'the name of the cookie, where COOKIE is a value alone' },
    'secret-env': {
      type: 'string',
      multiple: true,
      value: 'VARIABLE',
      help: 'a variable that holds a secret, the newest first; default: SESSION_SECRET'
    },
    'secret-file': { type: 'string', multiple: true, value: 'FILE', help: 'a file of secrets, one a line' },
    'secret-encoding': { type: 'string', value: 'NAME', help: `how secrets are written: ${ENCODINGS.join(', ')}` },
    ...PLACE_OPTIONS,
    'show-ids': { type: 'boolean', help: 'print the session ID: who has one may have the session' },
    'show-data': { type: 'boolean', help: 'print what is in the cookie' }
  },
  run: tell
}

// A browser sends other cookies along. Some only look like those of sessions: the authentic one is meant.
function sessionAmong(cookies: [Given, ...Given[]], secrets: readonly Secret[]) {
  const candidates = cookies.map((given) => {
    const form = formOf(given.value)
    const found = form && secrets.length > 0 ? authenticate(form, given, secrets) : undefined
    return { given, form, found }
  })
  return candidates.find(({ found }) => found) ?? candidates.find(({ form }) => form) ?? candidates[0]!
}

async function tell({ argument, values, terminal }: Call): Promise<Outcome> {
  const application = await applicationOf(values)
  const name = textOf(values, 'name') ?? (argument.includes('=') ? undefined : application?.name)
  const secrets = [...secretsOf(values, terminal), ...(application?.secrets ?? [])]
  const { given, form, found } = sessionAmong(givenCookies(argument, name), secrets)
  if (form === undefined) {
    const text = 'This is no session cookie of express-session, silverback, cookie-session or gorilla/securecookie.\n'
    return { exit: EXIT.found, text, json: { form: null } }
  }
  const end = found && (await endOf(found, application?.settings, values, terminal))
  const { id, data, issuedAt } = found ?? {}
  const authentic = secrets.length === 0 ? undefined : found !== undefined
  const rows: [string, string][] = [['what', SIGNED_HOW[form]]]
  if (found?.name !== undefined) rows.push(['name', found.name])
  rows.push(['authentic', verdict(found, secrets.length, form === 'cookie-session' && given.signature === undefined)])
  if (id !== undefined) rows.push(['session', values['show-ids'] === true ? id : handleOf(id)])
  if (issuedAt !== undefined) rows.push(['issued', timeText(issuedAt)])
  if (end !== undefined) rows.push(['ends', end.text])
  if (values['show-data'] === true && data !== undefined) rows.push(['data', JSON.stringify(data, null, 2)])
  const json = {
    form,
    authentic,
    secret: found && found.key + 1,
    name: found?.name ?? given.name,
    session: id && handleOf(id),
    ...(values['show-ids'] === true && { id }),
    issuedAt: timeJson(issuedAt),
    endsAt: timeJson(end?.at),
    ...(values['show-data'] === true && { data })
  }
  return { exit: authentic === false ? EXIT.found : EXIT.ok, text: table(rows), json }
}

function verdict(found: Authentic | undefined, secrets: number, unsigned: boolean): string {
  if (found !== undefined) return `yes, by secret ${found.key + 1} of ${secrets}`
  if (secrets === 0) return 'not known: no secret was given'
  if (unsigned) return 'no: the cookie NAME.sig, which signs it, was not given'
  const which = secrets === 1 ? 'the secret has not' : `none of the ${secrets} secrets has`
  return `no: ${which} made it, under this name, or it was changed`
}

interface End {
  at?: Milliseconds | null | undefined
  text: string
}

async function endOf(
  found: Authentic,
  own: Settings | undefined,
  values: Values,
  terminal: Terminal
): Promise<End | undefined> {
  const { record, endsAt, id } = found
  if (endsAt !== undefined) return { at: endsAt, text: `${timeText(endsAt)}, by the default of securecookie` }
  if (record !== undefined) {
    const settings = own ?? engineOf(createSessions({ secret: generateKey() }))!.settings
    const at = deadline(settings, new EmptyRequest(), record.cookie, record)
    const by = own === undefined ? ', by the defaults of sessions(): --config tells the limits of yours' : ''
    return { at, text: timeText(at) + by }
  }
  if (id === undefined) return undefined
  if ((values.store ?? values.config ?? terminal.env.SILVERBACK_STORE) === undefined) {
    return { text: 'as the store says: give --store or --config' }
  }
  return withPlace(values, terminal, async (place) => {
    const entry = await place.auth.get(id)
    if (entry === null) return { text: 'there is no such session' }
    const at = await endOfEntry(place, entry)
    return { at, text: timeText(at) }
  })
}

// Name, secrets and limits of the application whose module is given.
async function applicationOf(values: Values) {
  const file = textOf(values, 'config')
  const auth = file === undefined ? undefined : (await load(file)).auth
  const settings = auth && engineOf(auth)?.settings
  return settings && { settings, name: settings.name, secrets: settings.keys?.secrets ?? [] }
}

function secretsOf(values: Values, { env }: Terminal): Secret[] {
  const encoding = (textOf(values, 'secret-encoding') ?? 'utf8') as (typeof ENCODINGS)[number]
  if (!ENCODINGS.includes(encoding)) throw new CommandError(`--secret-encoding is one of ${ENCODINGS.join(', ')}.`)
  const files = listOf(values, 'secret-file')
  const variables = listOf(values, 'secret-env')
  const fallback = files.length + variables.length === 0 && values.config === undefined && env.SESSION_SECRET
  const texts = [
    ...variables.map((name) => env[name] || missing(`The variable ${name} holds nothing.`)),
    ...files.flatMap(linesOf),
    ...(fallback ? [fallback] : [])
  ]
  return encoding === 'utf8' ? texts : texts.map((text) => Buffer.from(text, encoding))
}

function linesOf(file: string): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (err) {
    throw new CommandError(`${file} cannot be read: ${(err as NodeJS.ErrnoException).code}`, EXIT.failed)
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  return lines.length > 0 ? lines : missing(`${file} holds no secret.`)
}

function missing(message: string): never {
  throw new CommandError(message)
}
