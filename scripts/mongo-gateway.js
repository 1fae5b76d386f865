'use strict'

// MongoDB's wire protocol over the functions of DocumentDB, an extension of PostgreSQL that has MongoDB's filters,
// updates, upserts and indexes: what the tests of MongoStore need of a server, where none of MongoDB's own is to be had.
// It has no sessions of the driver, no transactions and no authentication.
//
// usage: node mongo-gateway.js PORT POSTGRES_PORT
const { createRequire } = require('node:module')
const net = require('node:net')
const path = require('node:path')

// What only tests need may be installed there.
const tests = createRequire(path.join(__dirname, '../__tests__/any.js'))
const { BSON } = tests('mongodb')
const { Pool } = tests('pg')

const [port, postgresPort] = process.argv.slice(2).map(Number)
const pool = new Pool({ host: '127.0.0.1', port: postgresPort, user: 'postgres', database: 'postgres', max: 20 })
// A restarted database is none of the gateway's faults: its clients are told.
pool.on('error', () => undefined)

const OP_QUERY = 2004
const OP_MSG = 2013
const DUPLICATE_KEY = 11000
/** What the extension calls a duplicate key; its own gateway translates that. */
const THEIR_DUPLICATE_KEY = 319029277
/** What drivers add to a command, and the functions do not take. */
const ADDED = ['$db', 'lsid', 'txnNumber', '$clusterTime', '$readPreference', 'apiVersion', 'writeConcern', 'maxTimeMS']
const WRITES = { insert: 'insert', update: 'update', delete: 'delete', findandmodify: 'find_and_modify' }
const CURSORS = {
  find: 'find',
  aggregate: 'aggregate',
  listindexes: 'list_indexes',
  listcollections: 'list_collections'
}

const encode = (document) => `BSONHEX${Buffer.from(BSON.serialize(document)).toString('hex')}`
const decode = (text) => BSON.deserialize(Buffer.from(text.replace(/^BSONHEX/, ''), 'hex'), { promoteValues: false })
const row = async (text, values) => (await pool.query({ text, values, rowMode: 'array' })).rows[0]

const cursors = new Map()
let cursorCount = 0

async function run(command) {
  const name = Object.keys(command)[0].toLowerCase()
  const db = String(command.$db ?? 'admin')
  const spec = Object.fromEntries(Object.entries(command).filter(([key]) => !ADDED.includes(key)))
  const given = [db, encode(spec)]
  if (name in WRITES) {
    const reply = decode((await row(`select p_result::text from documentdb_api.${WRITES[name]}($1, $2)`, given))[0])
    for (const error of reply.writeErrors ?? []) {
      if (Number(error.code) === THEIR_DUPLICATE_KEY) error.code = DUPLICATE_KEY
    }
    return reply
  }
  if (name in CURSORS) {
    const first = `documentdb_api.${CURSORS[name]}_cursor_first_page($1, $2, $3)`
    const [page, rest] = await row(`select cursorpage::text, continuation::text from ${first}`, [
      ...given,
      ++cursorCount
    ])
    const reply = decode(page)
    if (rest) cursors.set(String(reply.cursor.id), rest)
    return reply
  }
  switch (name) {
    case 'hello':
    case 'ismaster':
      return hello()
    case 'ping':
    case 'endsessions':
    case 'killcursors':
      return { ok: 1 }
    case 'count':
      return decode((await row('select document::text from documentdb_api.count_query($1, $2)', given))[0])
    case 'getmore': {
      const id = String(command.getMore)
      const more = 'documentdb_api.cursor_get_more($1, $2, $3)'
      const [page, rest] = await row(`select cursorpage::text, continuation::text from ${more}`, [
        ...given,
        cursors.get(id)
      ])
      if (rest) cursors.set(id, rest)
      return decode(page)
    }
    case 'createindexes': {
      const make = 'documentdb_api.create_indexes_background($1, $2)'
      return decode((await row(`select retval::text from ${make}`, given))[0])
    }
    case 'drop': {
      const [done] = await row('select documentdb_api.drop_collection($1, $2)', [db, String(command.drop)])
      return done ? { ok: 1 } : { ok: 0, code: 26, codeName: 'NamespaceNotFound', errmsg: 'ns not found' }
    }
    default:
      return { ok: 0, code: 59, codeName: 'CommandNotFound', errmsg: `no such command: ${name}` }
  }
}

function hello() {
  return {
    helloOk: true,
    isWritablePrimary: true,
    ismaster: true,
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    localTime: new Date(),
    minWireVersion: 0,
    maxWireVersion: 21,
    readOnly: false,
    ok: 1
  }
}

function failed(err) {
  const duplicate = err.code === '23505' || err.message.startsWith('Duplicate key')
  return { ok: 0, code: duplicate ? DUPLICATE_KEY : 8000, codeName: `SQL_${err.code}`, errmsg: err.message }
}

/** The body of an OP_MSG, with its document sequences as lists. */
function commandOf(message) {
  const options = { promoteValues: false }
  const end = message.length - (message.readUInt32LE(16) & 1 ? 4 : 0)
  let command = {}
  const lists = {}
  for (let at = 20; at < end;) {
    const kind = message[at++]
    const size = message.readInt32LE(at)
    if (kind === 0) command = BSON.deserialize(message.subarray(at, at + size), options)
    else {
      const zero = message.indexOf(0, at + 4)
      const list = (lists[message.toString('latin1', at + 4, zero)] = [])
      for (let from = zero + 1; from < at + size;) {
        const length = message.readInt32LE(from)
        list.push(BSON.deserialize(message.subarray(from, from + length), options))
        from += length
      }
    }
    at += size
  }
  return { ...command, ...lists }
}

async function serve(socket, message) {
  const id = message.readInt32LE(4)
  const operation = message.readInt32LE(12)
  if (operation === OP_QUERY) return reply(socket, id, 1, 16, 32, hello())
  if (operation !== OP_MSG) return socket.destroy()
  const answer = await run(commandOf(message)).catch(failed)
  reply(socket, id, OP_MSG, 5, 0, answer)
}

// OP_REPLY (1) has 20 bytes before its document, of which the last four count the documents; OP_MSG has 5.
function reply(socket, to, operation, extra, countAt, document) {
  const body = Buffer.from(BSON.serialize(document))
  const head = Buffer.alloc(operation === 1 ? 36 : 16 + extra)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(to, 8)
  head.writeInt32LE(operation, 12)
  if (countAt > 0) head.writeInt32LE(1, countAt)
  socket.write(Buffer.concat([head, body]))
}

const server = net.createServer((socket) => {
  let buffer = Buffer.alloc(0)
  let last = Promise.resolve()
  socket.on('error', () => undefined)
  socket.on('data', (data) => {
    buffer = Buffer.concat([buffer, data])
    while (buffer.length >= 4 && buffer.length >= buffer.readInt32LE(0)) {
      const length = buffer.readInt32LE(0)
      const message = buffer.subarray(0, length)
      buffer = buffer.subarray(length)
      last = last.then(() => serve(socket, message)).catch(() => socket.destroy())
    }
  })
})
server.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'))
