import { CommandError, EXIT, listOf, textOf, type Call, type Command, type Outcome, type Values } from '../command'
import { Client } from './client'
import { examine, type Account, type Report } from './examine'
import type { Site } from './visitor'

const PATIENCE = 10_000

export const doctor: Command = {
  name: 'doctor',
  argument: 'URL',
  help:
    'Asks a running application as a browser and a careless client would, and reports what is wrong with its sessions.\n\n' +
    'With --login it logs in, so name an account that is made for it. The fields of the form, a CSRF token among them,\n' +
    'are taken from the page.',
  options: {
    login: { type: 'string', value: 'PATH', help: 'the page with the form, or where to send it' },
    protected: { type: 'string', value: 'PATH', help: 'a page that needs a login (with --login)' },
    logout: { type: 'string', value: 'PATH', help: 'what ends it; asked by POST, or as its form says' },
    user: { type: 'string', value: 'NAME', help: 'who logs in' },
    'password-env': { type: 'string', value: 'VARIABLE', help: 'the variable that holds the password' },
    field: { type: 'string', multiple: true, value: 'NAME=VALUE', help: 'a further field of the login' },
    'login-json': { type: 'boolean', help: 'send the login as JSON' },
    cookie: { type: 'string', value: 'NAME', help: "the session's cookie; by default what looks like one" },
    'behind-proxy': { type: 'boolean', help: 'ask as a proxy that terminates TLS: X-Forwarded-Proto: https' },
    insecure: { type: 'boolean', help: 'take any certificate' }
  },
  run: diagnose
}

async function diagnose({ argument, values, terminal }: Call): Promise<Outcome> {
  const url = URL.canParse(argument) ? new URL(argument) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CommandError('doctor needs a URL that begins with http:// or https://.')
  }
  const account = accountOf(url, values, terminal.env)
  const { login = url, members = url, logout = members } = account ?? {}
  const urls = [login, members, logout]
  const site: Site = { url, paths: urls.map(({ pathname }) => pathname), cookie: textOf(values, 'cookie') }
  const client = new Client({
    behindProxy: values['behind-proxy'] === true,
    insecure: values.insecure === true,
    timeout: PATIENCE
  })
  const report = await examine(client, site, account)
  const place = url.origin + url.pathname
  const exit = report.findings.length === 0 ? EXIT.ok : EXIT.found
  return { exit, text: textFor(place, report), json: { url: place, ...report } }
}

function accountOf(url: URL, values: Values, env: Readonly<Record<string, string | undefined>>): Account | undefined {
  const login = textOf(values, 'login')
  const members = textOf(values, 'protected')
  const logout = textOf(values, 'logout')
  if (login === undefined && members === undefined && logout === undefined) return undefined
  if (login === undefined || members === undefined) {
    throw new CommandError('--login needs --protected, and they need each other; --logout needs both.')
  }
  const variable = textOf(values, 'password-env')
  if (variable !== undefined && !env[variable]) throw new CommandError(`The variable ${variable} holds no password.`)
  const fields = listOf(values, 'field').map((field) => /^([^=]+)=([^]*)$/.exec(field) ?? refuse(field))
  return {
    login: pathOf(login, url),
    members: pathOf(members, url),
    logout: logout === undefined ? undefined : pathOf(logout, url),
    user: textOf(values, 'user'),
    password: variable && env[variable],
    fields: Object.fromEntries(fields.map(([, name, value]) => [name!, value!])),
    json: values['login-json'] === true
  }
}

function pathOf(path: string, url: URL): URL {
  const found = URL.canParse(path, url.href) ? new URL(path, url) : undefined
  if (found?.host !== url.host) throw new CommandError(`${path} is no path of ${url.host}.`)
  return found
}

function refuse(field: string): never {
  throw new CommandError(`--field ${field.split('=', 1)[0]} is not of the form NAME=VALUE.`)
}

function textFor(place: string, { findings, asked, notAsked }: Report): string {
  const count =
    findings.length === 0 ? 'nothing found' : findings.length === 1 ? '1 finding' : `${findings.length} findings`
  const blocks = findings.map(({ code, says, remedy }) => `\n${code}: ${says}.\n  ${remedy}\n`)
  const open = notAsked.map((each) => `Not asked: ${each}.\n`)
  return `${place}: ${count}\n${blocks.join('')}\nAsked: ${asked.join(', ')}.\n${open.join('')}`
}
