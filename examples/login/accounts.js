'use strict'

const { randomUUID } = require('node:crypto')
const fields = require('./fields')
const passwords = require('./passwords')
const { deviceOf } = require('./device')
const { placeOf } = require('./place')
const { Problem } = require('./problem')

const MINUTE = 60 * 1000
const REMEMBER_ME = 30 * 24 * 60 * MINUTE
/** How long a password that was just given opens what is sensitive. */
const CONFIRMED_FOR = 5 * MINUTE

/**
 * What the application does, once for both renderers: each action takes the request, whose session it may change
 * and whose body is the input as it was sent; it answers plain data or throws a `Problem`.
 * Actions are fields, so that routes can take them as they are: `answer(200, accounts.login)`.
 */
class Accounts {
  #auth
  #users
  #endings

  constructor({ auth, users, endings }) {
    this.#auth = auth
    this.#users = users
    this.#endings = endings
  }

  register = async (req) => {
    const username = fields.newUsername(req.body)
    const password = fields.newPassword(req.body, 'password')
    const token = fields.text(req.body, 'adminToken')
    if (token !== '' && !(await this.#users.isAdminToken(token))) {
      throw new Problem(403, 'This is not the token that was printed, or it was used already.', { field: 'adminToken' })
    }
    const role = token === '' ? 'member' : 'admin'
    const user = await this.#users.add({ username, passwordHash: await passwords.hash(password), role })
    if (!user) throw new Problem(409, 'This username is taken.', { field: 'username' })
    if (role === 'admin') await this.#users.endAdminToken()
    return this.#signIn(req, user)
  }

  login = async (req) => {
    const user = await this.#checkPassword(req, fields.lookupName(req.body))
    // One message for both: it must not tell who has an account here.
    if (!user) throw new Problem(401, 'Wrong username or password.')
    return this.#signIn(req, user, { remember: fields.ticked(req.body, 'remember') })
  }

  logout = async (req) => {
    await this.#endings.forget(req)
    await req.session.destroy()
  }

  profile = (req) => publicUser(req.user)

  updateProfile = async (req) => {
    const changes = { displayName: fields.displayName(req.body), bio: fields.bio(req.body) }
    return publicUser(await this.#users.update(req.user, changes))
  }

  changePassword = async (req) => {
    const password = fields.newPassword(req.body, 'newPassword')
    const user = await this.#checkPassword(req, req.user.username)
    if (!user) throw new Problem(403, 'The current password is wrong.', { field: 'password' })
    await this.#users.setPassword(user, await passwords.hash(password))
    await req.session.regenerate({ keep: true })
    return { ended: await this.#endSessions(user, { kind: 'password', by: req.session.device }, req.session) }
  }

  /** Step-up: the password again. A change of privilege, so the session gets a new ID. */
  confirm = async (req) => {
    const user = await this.#checkPassword(req, req.user.username)
    if (!user) throw new Problem(403, 'The password is wrong.', { field: 'password' })
    await req.session.regenerate({ keep: true })
    req.session.confirmedAt = Date.now()
  }

  isConfirmed = ({ session }) => Date.now() - (session.confirmedAt ?? 0) < CONFIRMED_FOR

  listSessions = async (req) => {
    const entries = await this.#auth.list(req.user.id, { current: req.session })
    const sessions = entries.map(({ createdAt, lastUsedAt, current, data }) => ({
      handle: data.handle,
      device: data.device,
      place: data.place,
      createdAt: new Date(createdAt).toISOString(),
      lastUsedAt: new Date(lastUsedAt).toISOString(),
      current
    }))
    return sessions.sort((a, b) => b.current - a.current || b.lastUsedAt.localeCompare(a.lastUsedAt))
  }

  /** Ends one of the user's own sessions; nobody else's can be found here. */
  endSession = async (req) => {
    const entries = await this.#auth.list(req.user.id, { current: req.session })
    const entry = entries.find(({ data }) => data.handle === req.params.handle)
    if (!entry) throw new Problem(404, 'This session has ended already.')
    if (entry.current) return this.logout(req)
    await this.#endings.note(entry.data.handle, { kind: 'device', by: req.session.device })
    await this.#auth.destroy(entry.id)
  }

  endOtherSessions = async (req) => {
    return { ended: await this.#endSessions(req.user, { kind: 'others', by: req.session.device }, req.session) }
  }

  /** Everything that is kept about a user. */
  exportData = async (req) => ({ ...publicUser(req.user), sessions: await this.listSessions(req) })

  chooseTheme = (req) => {
    const theme = fields.text(req.body, 'theme')
    if (theme === 'dark' || theme === 'light') req.session.theme = theme
    else delete req.session.theme
  }

  /** Everybody, for the administrator, or those whose name contains `?q=`. */
  listUsers = async (req) => {
    const wanted = fields.text(req.query, 'q').trim().toLowerCase()
    const found = (await this.#users.all()).filter(({ username, displayName }) =>
      `${username} ${displayName.toLowerCase()}`.includes(wanted)
    )
    return Promise.all(found.map((user) => this.#withSessions(user)))
  }

  /** The administrator ends all sessions of a user. */
  signOutUser = async (req) => {
    const user = await this.#users.byName(req.params.username)
    if (!user) throw new Problem(404, 'There is no such user.')
    return { username: user.username, ended: await this.#endSessions(user, { kind: 'admin' }, req.session) }
  }

  async #withSessions(user) {
    const entries = await this.#auth.list(user.id)
    const lastUse = Math.max(...entries.map(({ lastUsedAt }) => lastUsedAt))
    const lastUsedAt = entries.length > 0 ? new Date(lastUse).toISOString() : null
    return { ...publicUser(user), sessions: entries.length, lastUsedAt }
  }

  // A new ID at every change of privilege: whoever knew the old one (a planted cookie, say) is left behind.
  async #signIn(req, user, { remember = false } = {}) {
    await req.session.regenerate({ keep: ['returnTo', 'theme'] })
    Object.assign(req.session, {
      userId: user.id,
      // Names the session in pages and links without giving away its ID.
      handle: randomUUID(),
      device: deviceOf(req.get('user-agent')),
      place: placeOf(req.ip)
    })
    if (remember) req.session.cookie.maxAge = REMEMBER_ME
    await this.#endings.remember(req)
    req.user = user
    return publicUser(user)
  }

  async #checkPassword(req, username) {
    const user = await this.#users.byName(username)
    const hash = user && (await this.#users.passwordOf(user))
    return (await passwords.verify(fields.text(req.body, 'password'), hash)) ? user : undefined
  }

  async #endSessions(user, reason, except) {
    const others = (await this.#auth.list(user.id, { current: except })).filter(({ current }) => !current)
    await Promise.all(others.map(({ data }) => this.#endings.note(data.handle, reason)))
    return this.#auth.revoke(user.id, { except })
  }
}

/** Creates the administrator ahead of everybody else. */
async function seedAdmin(users, { username, password }) {
  const passwordHash = await passwords.hash(fields.newPassword({ password }, 'password'))
  await users.add({ username: fields.newUsername({ username }), passwordHash, role: 'admin' })
  await users.endAdminToken()
}

function publicUser({ username, displayName, bio, role }) {
  return { username, displayName, bio, role }
}

module.exports = { Accounts, seedAdmin }
