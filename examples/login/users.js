'use strict'

const { randomUUID, timingSafeEqual, createHash, randomBytes } = require('node:crypto')

/**
 * @typedef {object} User
 * @property {string} id The username and something random: a session that outlives its user never leads to another one.
 * @property {string} username Lower case.
 * @property {string} displayName
 * @property {string} bio
 * @property {'admin' | 'member'} role
 */

/** The accounts. Passwords are documents of their own: whoever saves a profile cannot bring back an old one. */
class Users {
  #documents

  constructor(documents) {
    this.#documents = documents
  }

  /** Adds a user; `undefined` when the name is taken. */
  async add({ username, passwordHash, role = 'member' }) {
    const user = { id: `${username}.${randomUUID()}`, username, displayName: username, bio: '', role }
    if (!(await this.#documents.add(`user:${username}`, user))) return undefined
    await this.setPassword(user, passwordHash)
    return user
  }

  async byName(username) {
    return (await this.#documents.get(`user:${username}`)) ?? undefined
  }

  async byId(id) {
    if (typeof id !== 'string') return undefined
    const user = await this.byName(id.split('.', 1)[0])
    return user?.id === id ? user : undefined
  }

  async update(user, changes) {
    const updated = { ...user, ...changes }
    await this.#documents.set(`user:${user.username}`, updated)
    return updated
  }

  async passwordOf(user) {
    return (await this.#documents.get(`password:${user.id}`)) ?? undefined
  }

  setPassword(user, passwordHash) {
    return this.#documents.set(`password:${user.id}`, passwordHash)
  }

  async all() {
    const users = await this.#documents.list('user:')
    return users.sort((a, b) => a.username.localeCompare(b.username))
  }

  /**
   * The token with which the first administrator registers, the same for all processes of one database; `null` once it
   * was used.
   */
  async adminToken() {
    const token = randomBytes(18).toString('base64url')
    return (await this.#documents.add('admin-token', token)) ? token : this.#documents.get('admin-token')
  }

  async isAdminToken(sent) {
    const token = await this.#documents.get('admin-token')
    return token !== null && timingSafeEqual(digest(sent), digest(token))
  }

  endAdminToken() {
    return this.#documents.set('admin-token', null)
  }
}

const digest = (text) => createHash('sha256').update(text).digest()

module.exports = { Users }
