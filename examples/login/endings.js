'use strict'

const DAY = 24 * 60 * 60 * 1000

const REASONS = {
  device: ({ by }) => `You signed this device out from another one (${by}).`,
  others: ({ by }) => `You signed out everywhere else from another device (${by}).`,
  password: ({ by }) => `Your password was changed on another device (${by}).`,
  admin: () => 'An administrator signed you out.'
}

/**
 * Why sessions ended. A session that has ended is gone from its store, so the reason is kept beside it under the
 * session's handle; the visitor's browser remembers that in a named session of its own, `device`.
 */
class Endings {
  #documents

  constructor(documents) {
    this.#documents = documents
  }

  /** To be called before the session is ended: whoever is told of that looks here. */
  note(handle, reason) {
    return this.#documents.set(`ended:${handle}`, reason, 30 * DAY)
  }

  /** The browser keeps it for as long as its session cookie: a session that closed with it did not end unexpectedly. */
  async remember(req) {
    const device = await req.sessions.get('device')
    device.handle = req.session.handle
    device.cookie.maxAge = req.session.cookie.originalMaxAge
  }

  async forget(req) {
    const device = await req.sessions.get('device')
    if (device.handle !== undefined) await device.destroy()
  }

  /** Why this guest's session has ended; `undefined` for one who had none, or signed out here. */
  async reasonFor(req) {
    const { handle } = await req.sessions.get('device')
    if (req.user || handle === undefined) return undefined
    const reason = await this.#documents.get(`ended:${handle}`)
    return reason
      ? REASONS[reason.kind](reason)
      : 'Your session was not used for a day, or the server no longer knows it.'
  }

  /** The same for the login page, which says it once. */
  reasonOnce = async (req) => {
    const reason = await this.reasonFor(req)
    await this.forget(req)
    return reason
  }
}

module.exports = { Endings }
