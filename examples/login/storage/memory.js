'use strict'

/**
 * Small JSON documents by key, in the memory of this process. The other files of this folder keep the same four verbs:
 * - `get(key)`: the document, or `null`
 * - `add(key, value)`: keeps a new one; `false` when there is one already
 * - `set(key, value, ttl?)`: keeps it whatever there was; for `ttl` milliseconds
 * - `list(prefix)`: all documents whose key begins so
 */
function memoryDocuments() {
  /** @type {Map<string, { text: string, endsAt: number }>} */
  const kept = new Map()
  const text = (key) => {
    const found = kept.get(key)
    if (found && found.endsAt <= Date.now()) kept.delete(key)
    return kept.get(key)?.text
  }
  const parse = (json) => JSON.parse(json ?? 'null')

  return {
    get: async (key) => parse(text(key)),
    async add(key, value) {
      if (text(key) !== undefined) return false
      await this.set(key, value)
      return true
    },
    async set(key, value, ttl = Infinity) {
      kept.set(key, { text: JSON.stringify(value), endsAt: Date.now() + ttl })
    },
    list: async (prefix) => [...kept.keys()].filter((key) => key.startsWith(prefix)).map((key) => parse(text(key)))
  }
}

module.exports = { memoryDocuments }
