import { randomUUID } from 'node:crypto'
import { CommandError, EXIT } from '../command'
import { claimedId } from '../formats'
import type { Client, Reply } from './client'
import { Findings, type Finding } from './findings'
import { formsOf, type Form } from './form'
import { headerOf, identityOf, Visitor, type Cookies, type Site } from './visitor'

export interface Account {
  readonly login: URL
  readonly logout: URL | undefined
  /** A page that only those who are logged in get to see. */
  readonly members: URL
  readonly user: string | undefined
  readonly password: string | undefined
  /** Further fields of the form; they go before those that were found in it. */
  readonly fields: Readonly<Record<string, string>>
  readonly json: boolean
}

export interface Report {
  readonly findings: readonly Finding[]
  /** What was asked, and why something was not. */
  readonly asked: readonly string[]
  readonly notAsked: readonly string[]
}

const TRIES = 4

/** Asks an application as a visitor, and as a member if it is told how to log in. */
export async function examine(client: Client, site: Site, account: Account | undefined): Promise<Report> {
  const findings = new Findings()
  const visitor = new Visitor(client, site, findings)
  const report = (asked: string[], ...notAsked: string[]) => ({ findings: findings.list, asked, notAsked })
  await visit(visitor)
  if (account === undefined) {
    const unseen = visitor.sessionNames.length > 0 ? [] : ['cookie: no page set one without a login']
    return report(['visit'], ...unseen, 'login, logout: no --login was given')
  }
  const name = await logIn(visitor, account)
  if (name === undefined) return report(['visit', 'login'], 'logout: no login lasted')
  if (account.logout === undefined) return report(['visit', 'login'], 'logout: no --logout was given')
  await logOut(visitor, account, account.logout, name)
  return report(['visit', 'login', 'logout'])
}

async function visit(visitor: Visitor): Promise<void> {
  const { client, site, findings } = visitor
  const home = await visitor.go(site.url)
  const nobody = new Visitor(client, site, findings)
  // What is nowhere needs no session.
  const lost = new URL(`/silverback-doctor-${randomUUID()}`, site.url)
  await nobody.ask(lost)
  const needed = formsOf(home.body, home.url).some(({ hidden }) => Object.keys(hidden).length > 0)
  const anonymous = nobody.sessionNames.length > 0 ? 'a page that is not there' : site.url.pathname
  if (nobody.sessionNames.length > 0 || (visitor.sessionNames.length > 0 && !needed)) {
    findings.add('anonymous-session', `Whoever asks for ${anonymous} without a cookie gets a session`)
  }
  const [name] = visitor.sessionNames
  if (name === undefined) return
  let renewed = 0
  for (let i = 1; i < TRIES; i++) {
    // The ID in a sealed cookie is not seen: there every value is another one.
    const before = claimedId(visitor.cookies.get(name)?.value ?? '')
    await visitor.ask(site.url)
    const after = claimedId(visitor.cookies.get(name)?.value ?? '')
    if (before !== undefined && after !== undefined && after !== before) renewed++
  }
  if (renewed > 1) {
    findings.add('store-forgets', `A visitor who came back ${TRIES - 1} times got a new session ${renewed} times`)
  }
}

/** The name of the cookie that carries the login; `undefined` where there is none. */
async function logIn(visitor: Visitor, account: Account): Promise<string | undefined> {
  const { client, site, findings } = visitor
  const { login, members } = account
  if (isOpen(await client.ask(members))) {
    throw new CommandError(`--protected ${members.pathname} is open to visitors: name a page that needs a login.`)
  }
  const page = await visitor.go(login)
  const before: Cookies = new Map(visitor.cookies)
  const form = formsOf(page.body, page.url).find(({ password }) => password !== undefined)
  const answer = await submit(visitor, account, page, form)
  if (isRefusal(answer, login)) {
    // A token in the form, and no cookie to compare it with: the session behind it has got lost.
    const hasToken = Object.keys(form?.hidden ?? {}).length > 0
    if (hasToken && visitor.cookies.size === 0 && client.isSecure(login)) {
      findings.add('trust-proxy', `GET ${login.pathname} by HTTPS gives a form with a token, and sets no cookie`)
      return undefined
    }
    throw new CommandError(
      `The login was not accepted: POST ${answer.url.pathname} was answered with ${answer.status}. See --user, --password-env and --field.`,
      EXIT.failed
    )
  }
  await visitor.follow(answer)
  const names = visitor.sessionNames
  const name = names.find((each) => visitor.cookies.get(each)!.value !== before.get(each)?.value) ?? names[0]
  if (name === undefined) {
    if (visitor.cookies.size > 0) {
      const others = [...visitor.cookies.keys()].join(', ')
      throw new CommandError(`Is one of these the session's cookie? Name it by --cookie: ${others}`)
    }
    if (!client.isSecure(site.url)) {
      throw new CommandError(
        'The login set no session cookie. If it is a secure one: ask by HTTPS, or say --behind-proxy.',
        EXIT.failed
      )
    }
    findings.add('trust-proxy', `POST ${answer.url.pathname} logs in by HTTPS, and sets no session cookie`)
    return undefined
  }
  if (!(await lasts(visitor, account, answer))) return undefined
  visitor.lookAtPagesOf(members.pathname)
  const old = before.get(name)
  if (old === undefined) return name
  if (identityOf(old.value) === identityOf(visitor.cookies.get(name)!.value)) {
    findings.add('session-fixation', `The session has the same ID before and after the login (cookie ${name})`)
  } else if (isOpen(await client.ask(members, { cookie: headerOf(before) }))) {
    findings.add('old-id-after-login', `The cookie from before the login opens ${members.pathname} as well`)
  }
  return name
}

async function submit(visitor: Visitor, account: Account, page: Reply, form: Form | undefined): Promise<Reply> {
  const { login, user, password, fields, json } = account
  const action = form?.action ?? login
  if (action.host !== page.url.host) {
    throw new CommandError(`The form of ${page.url.pathname} goes to ${action.host}, which was not to be asked.`)
  }
  action.protocol = page.url.protocol
  const answers = {
    ...(user !== undefined && { [form?.user ?? 'username']: user }),
    ...(password !== undefined && { [form?.password ?? 'password']: password })
  }
  return visitor.ask(action, { method: 'POST', json, fields: { ...form?.hidden, ...answers, ...fields } })
}

// Each question may reach another process.
async function lasts(visitor: Visitor, { members }: Account, answer: Reply): Promise<boolean> {
  let opened = 0
  for (let i = 0; i < TRIES; i++) if (isOpen(await visitor.ask(members))) opened++
  // The middleware itself passes over what is not below the path of its cookie.
  if (opened < TRIES && !visitor.findings.has('cookie-path')) {
    const login = `POST ${answer.url.pathname} was answered with ${answer.status}`
    const lost = `${TRIES - opened} of ${TRIES} questions for ${members.pathname} with its cookie found no login`
    visitor.findings.add('store-forgets', `${login}, and ${lost}`)
  }
  return opened === TRIES
}

async function logOut(visitor: Visitor, { members }: Account, logout: URL, name: string): Promise<void> {
  const { client, findings, site } = visitor
  const pages = [await visitor.go(members), await visitor.go(site.url)]
  const form = pages
    .flatMap(({ body, url }) => formsOf(body, url))
    .find(({ action }) => action.host === logout.host && action.pathname === logout.pathname)
  const before: Cookies = new Map(visitor.cookies)
  let reply = await visitor.ask(logout, { method: form?.method ?? 'POST', fields: form?.hidden ?? {} })
  if (form === undefined && (reply.status === 404 || reply.status === 405)) reply = await visitor.ask(logout)
  if (reply.status >= 400) {
    throw new CommandError(
      `The logout was refused: ${reply.method} ${logout.pathname} was answered with ${reply.status}.`,
      EXIT.failed
    )
  }
  await visitor.follow(reply)
  const identity = identityOf(before.get(name)?.value ?? '')
  const done = `${reply.method} ${logout.pathname}`
  if (visitor.jar.allOf(name).some((value) => identityOf(value) === identity)) {
    findings.add('cookie-after-logout', `${done} leaves the cookie ${name} in the browser`)
  }
  if (isOpen(await client.ask(members, { cookie: headerOf(before) }))) {
    findings.add('session-after-logout', `The cookie from before ${done} still opens ${members.pathname}`)
  }
}

function isOpen({ status }: Reply): boolean {
  return status >= 200 && status < 300
}

// An error, the form once more, or the way back to it.
function isRefusal({ status, headers, body, url }: Reply, login: URL): boolean {
  if (status >= 400) return true
  const { location } = headers
  if (location === undefined) return formsOf(body, url).some(({ password }) => password !== undefined)
  return URL.canParse(location, url.href) && new URL(location, url).pathname === login.pathname
}
