#!/bin/sh
# mysql2 3.24.6: the option `timeout` of a query answers the caller, and keeps the hanging connection in the pool's count.
#
# A good guess: after PROTOCOL_SEQUENCE_TIMEOUT the pool has its connection back, or closes it and makes another (as pg's
# query_timeout does). Seen: the connection stays taken until the server answers after all, so that a pool whose every
# connection met a server that hangs (paused, cut off without a reset) never answers again, however soon new connections
# would work. Take the connection with getConnection() and destroy() it when your own timer runs out.
#
# Output: "timeout: PROTOCOL_SEQUENCE_TIMEOUT; next query on the pool: still waiting; after destroy(): answered"
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund mysql2@3.24.6
cat >run.js <<'END'
const mysql = require('mysql2')
let hangs = true
const server = mysql.createServer((connection) => {
  connection.serverHandshake({
    protocolVersion: 10,
    serverVersion: '8.0.0',
    connectionId: 1,
    statusFlags: 2,
    characterSet: 45,
    capabilityFlags: 0xffffff ^ 0x800,
    authCallback: (_, callback) => callback(null)
  })
  connection.on('error', () => {})
  const mine = hangs
  connection.on('query', () => mine || connection.writeOk('1'))
})
server.listen(0, async () => {
  const { port } = server._server.address()
  const waiting = new Promise((resolve) => setTimeout(resolve, 1500, 'still waiting'))
  const options = { host: '127.0.0.1', port, user: 'u', connectionLimit: 1 }
  const pool = mysql.createPool(options).promise()
  const first = await pool.query({ sql: 'SELECT 1', timeout: 200 }).catch((err) => err.code)
  hangs = false
  const second = await Promise.race([pool.query('SELECT 2').then(() => 'answered', (err) => err.code), waiting])
  hangs = true
  const other = mysql.createPool(options).promise()
  const connection = await other.getConnection()
  connection.query('SELECT 3').catch(() => {})
  hangs = false
  connection.destroy()
  const third = await other.query('SELECT 4').then(() => 'answered', (err) => err.code)
  console.log(`timeout: ${first}; next query on the pool: ${second}; after destroy(): ${third}`)
  process.exit(`${first} ${second} ${third}` === 'PROTOCOL_SEQUENCE_TIMEOUT still waiting answered' ? 0 : 1)
})
END
node run.js
