'use strict'

const { createHash } = require('node:crypto')
const fields = require('./fields')
const passwords = require('./passwords')
const { deviceOf } = require('./device')
const { Problem } = require('./problem')

const REMEMBER_ME = 30 * 24 * 60 * 60 * 1000

/**
 * What the application does, once for both renderers: each action takes the request, whose session it may change
 * and whose body is the input as it was sent; it answers plain data or throws a `Problem`.
 * Actions are fields, so that routes can take them as they are: `answer(200, accounts.login)`.
 */
class Accounts {
  #auth
  #users
  #perAccount
  #perAddress

  constructor({ auth, users, perAccount, perAddress }) {
    this.#auth = auth
    this.#users = users
    this.#perAccount = perAccount
    this.#perAddress = perAddress
  }

  /** Whose session it is; `undefined` for a guest. */
  userOf(session) {
    return this.#users.byId(session.userId)
  }

  register = async (req) => {
    this.#limit(req)
    const username = fields.newUsername(req.body)
    const passwordHash = await passwords.hash(fields.newPassword(req.body, 'password'))
    const user = this.#users.add({ username, displayName: username, passwordHash })
    if (!user) throw new Problem(409, 'This username is taken.', { field: 'username' })
    return this.#signIn(req, user)
  }

  login = async (req) => {
    const user = await this.#checkPassword(req, fields.lookupName(req.body))
    // One message for both: it must not tell who has an account here.
    if (!user) throw new Problem(401, 'Wrong username or password.')
    return this.#signIn(req, user, { remember: fields.ticked(req.body, 'remember') })
  }

  logout = async (req) => {
    await req.session.destroy()
  }

  profile = (req) => {
    return publicUser(this.userOf(req.session))
  }

  updateProfile = (req) => {
    const changes = { displayName: fields.displayName(req.body), bio: fields.bio(req.body) }
    return publicUser(this.#users.update(req.session.userId, changes))
  }

  changePassword = async (req) => {
    const password = fields.newPassword(req.body, 'newPassword')
    const user = await this.#checkPassword(req, this.userOf(req.session).username)
    if (!user) throw new Problem(403, 'The current password is wrong.', { field: 'password' })
    this.#users.update(user.id, { passwordHash: await passwords.hash(password) })
    await req.session.regenerate({ keep: true })
    return { ended: await this.#auth.revoke(user.id, { except: req.session }) }
  }

  listSessions = async (req) => {
    const entries = await this.#auth.list(req.session.userId, { current: req.session })
    return entries.map(({ id, createdAt, lastUsedAt, current, data }) => ({
      handle: handleOf(id),
      device: data.device,
      createdAt: new Date(createdAt).toISOString(),
      lastUsedAt: new Date(lastUsedAt).toISOString(),
      current
    }))
  }

  /** Ends one of the user's own sessions; nobody else's can be found here. */
  endSession = async (req) => {
    const entries = await this.#auth.list(req.session.userId, { current: req.session })
    const entry = entries.find(({ id }) => handleOf(id) === req.params.handle)
    if (!entry) throw new Problem(404, 'This session has ended already.')
    if (entry.current) await req.session.destroy()
    else await this.#auth.destroy(entry.id)
  }

  chooseTheme = (req) => {
    req.session.theme = fields.text(req.body, 'theme') === 'dark' ? 'dark' : 'light'
  }

  /** Everybody, for the administrator. */
  listUsers = async () => {
    const count = async (user) => (await this.#auth.list(user.id)).length
    return Promise.all(this.#users.all().map(async (user) => ({ ...publicUser(user), sessions: await count(user) })))
  }

  // A new ID at every change of privilege: whoever knew the old one (a planted cookie, say) is left behind.
  async #signIn(req, user, { remember = false } = {}) {
    await req.session.regenerate({ keep: ['returnTo', 'theme'] })
    req.session.userId = user.id
    req.session.device = deviceOf(req.get('user-agent'))
    if (remember) req.session.cookie.maxAge = REMEMBER_ME
    return publicUser(user)
  }

  async #checkPassword(req, username) {
    this.#limit(req, username)
    const user = this.#users.byName(username)
    if (!(await passwords.verify(fields.text(req.body, 'password'), user?.passwordHash))) return undefined
    this.#perAccount.forget(`${req.ip} ${username}`)
    return user
  }

  // Counted before the password is checked: parallel guesses do not slip through.
  #limit(req, username) {
    const wait =
      this.#perAddress.take(req.ip) || (username === undefined ? 0 : this.#perAccount.take(`${req.ip} ${username}`))
    if (wait > 0) throw new Problem(429, 'Too many attempts. Please try again later.', { retryAfter: wait })
  }
}

/** Creates a user ahead of everybody else, and so the administrator. */
async function seed(users, { username, password }) {
  const passwordHash = await passwords.hash(fields.newPassword({ password }, 'password'))
  users.add({ username: fields.newUsername({ username }), displayName: username, passwordHash })
}

function publicUser({ username, displayName, bio, role }) {
  return { username, displayName, bio, role }
}

// Names a session in pages and links without giving away its ID.
function handleOf(sessionId) {
  return createHash('sha256').update(sessionId).digest('base64url').slice(0, 16)
}

module.exports = { Accounts, seed }
