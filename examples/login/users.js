'use strict'

const { randomUUID } = require('node:crypto')

/**
 * @typedef {object} User
 * @property {string} id Random: a session that outlives its user must never lead to another one.
 * @property {string} username Lower case.
 * @property {string} displayName
 * @property {string} bio
 * @property {'admin' | 'member'} role
 * @property {string} passwordHash
 */

/** Users, kept in memory. A real application puts its database behind the same five methods. */
function createUsers() {
  /** @type {Map<string, User>} */
  const users = new Map()
  const byName = (username) => [...users.values()].find((user) => user.username === username)

  return {
    /** Adds a user, the first one as administrator. `undefined` when the name is taken. */
    add({ username, displayName, passwordHash }) {
      if (byName(username)) return undefined
      const role = users.size === 0 ? 'admin' : 'member'
      const user = { id: randomUUID(), username, displayName, bio: '', role, passwordHash }
      users.set(user.id, user)
      return user
    },

    byId: (id) => users.get(id),
    byName,
    update: (id, changes) => Object.assign(users.get(id), changes),
    all: () => [...users.values()]
  }
}

module.exports = { createUsers }
