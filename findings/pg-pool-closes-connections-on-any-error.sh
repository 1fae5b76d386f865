#!/bin/sh
# pg 8.23.1 (pg-pool 3.14.0): pool.query() closes the connection whenever the query fails, whatever the reason.
#
# A good guess: an error that the server reports for one statement (a unique violation, say) leaves the connection in the
# pool, since the protocol goes on with ReadyForQuery. Seen: pool.query() hands the error to client.release(err), which
# removes the client and ends its connection. Code that inserts and catches 23505 in the ordinary course of things
# reconnects each time: use ON CONFLICT DO NOTHING and look at rowCount. A client from pool.connect() that is released
# without the error stays.
#
# Output: "5 failing statements: 5 connections by pool.query(), 1 by pool.connect()"
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pg@8.23.1
cat >run.js <<'END'
const net = require('node:net')
const { Pool } = require('pg')
// As much of a PostgreSQL as is needed to refuse every statement.
const message = (type, body) => {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const ready = message('Z', Buffer.from('I'))
const refusal = Buffer.from('SERROR\0C23505\0Mduplicate key value violates unique constraint\0\0')
let connections = 0
const server = net.createServer((socket) => {
  connections++
  let started = false
  socket.on('error', () => {})
  socket.on('data', (data) => {
    if (!started) {
      started = true
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
    } else if (data[0] === 0x51) socket.write(Buffer.concat([message('E', refusal), ready]))
  })
})
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  const pool = new Pool({ host: '127.0.0.1', port, user: 'u', database: 'd', password: 'p', ssl: false, max: 1 })
  pool.on('error', () => {})
  for (let i = 0; i < 5; i++) await pool.query('INSERT').catch(() => {})
  const byPool = connections
  connections = 0
  for (let i = 0; i < 5; i++) {
    const client = await pool.connect()
    await client.query('INSERT').catch(() => {})
    client.release()
  }
  console.log(`5 failing statements: ${byPool} connections by pool.query(), ${connections} by pool.connect()`)
  process.exit(byPool === 5 && connections === 1 ? 0 : 1)
})
END
node run.js
