'use strict'

const { STATUS_CODES } = require('node:http')

/** Something the visitor did that cannot be done, with a sentence to show and the status to answer. */
class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} message Shown as it is: no secrets, no internals.
   * @param {{ field?: string, retryAfter?: number }} [details]
   */
  constructor(status, message, { field, retryAfter } = {}) {
    super(message)
    this.status = status
    this.field = field
    this.retryAfter = retryAfter
  }
}

/** What may be shown of any error: of those that are not a `Problem`, nothing but the status. */
function asProblem(err) {
  if (err instanceof Problem) return err
  if (err.code === 'EBADCSRFTOKEN') {
    return new Problem(403, 'This form has expired, so nothing was saved. Please open its page again.')
  }
  const status = err.status >= 400 && err.status < 600 ? err.status : 500
  if (status >= 500) console.error(err)
  return new Problem(status, `${STATUS_CODES[status] ?? 'Error'}.`)
}

module.exports = { Problem, asProblem }
