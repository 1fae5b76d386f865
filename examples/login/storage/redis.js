'use strict'

/** Documents in Redis or Valkey, through a client of `redis`. */
function redisDocuments(client, prefix) {
  return {
    get: async (key) => JSON.parse(await client.get(prefix + key)),
    async add(key, value) {
      return (await client.set(prefix + key, JSON.stringify(value), { condition: 'NX' })) !== null
    },
    async set(key, value, ttl) {
      const expiration = ttl === undefined ? undefined : { type: 'PX', value: ttl }
      await client.set(prefix + key, JSON.stringify(value), { expiration })
    },
    async list(start) {
      const found = []
      for await (const keys of client.scanIterator({ MATCH: `${prefix}${start}*` })) {
        if (keys.length > 0) found.push(...(await client.mGet(keys)))
      }
      return found.filter((text) => text !== null).map((text) => JSON.parse(text))
    }
  }
}

module.exports = { redisDocuments }
