#!/bin/sh
# pg 8.23.1 (pg-pool 3.14.0): pool.end() drops the queries that have no connection yet: they never settle.
#
# A good guess: end() "drains" the pool, so that what was asked before it is still carried out, or is at least rejected,
# as what is asked after it is ("Cannot use a pool after calling end on the pool"). Seen: of an idle pool even the query
# of the same turn is dropped, since a connection is handed out a tick later. Nothing is sent, no promise settles, end()
# resolves, and with nothing left to wait for the process exits with 0: what is behind the await never runs, whatever
# connectionTimeoutMillis and query_timeout say. Let the queries settle before end().
#
# Output: "3 queries, then end(): ended, 0 arrived at the server, 0 settled; exit code 0"
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pg@8.23.1
cat >server.js <<'END'
const net = require('node:net')
const { spawn } = require('node:child_process')
// As much of a PostgreSQL as is needed to carry out every statement.
const message = (type, body) => {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const ready = message('Z', Buffer.from('I'))
const done = message('C', Buffer.from('UPDATE 1\0'))
let arrived = 0
const server = net.createServer((socket) => {
  let started = false
  socket.on('error', () => {})
  socket.on('data', (data) => {
    if (!started) {
      started = true
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
    } else if (data[0] === 0x51) {
      if (data.includes('UPDATE')) arrived++
      socket.write(Buffer.concat([done, ready]))
    }
  })
})
server.listen(0, '127.0.0.1', () => {
  const child = spawn(process.execPath, ['client.js', String(server.address().port)])
  let said = ''
  child.stdout.on('data', (data) => (said += data))
  child.stderr.pipe(process.stderr)
  child.on('exit', (code) => {
    const settled = said.split('settled').length - 1
    const ended = said.includes('ended') ? 'ended' : 'not ended'
    console.log(`3 queries, then end(): ${ended}, ${arrived} arrived at the server, ${settled} settled; exit code ${code}`)
    process.exit(ended === 'ended' && arrived === 0 && settled === 0 && code === 0 ? 0 : 1)
  })
})
END
cat >client.js <<'END'
const { Pool } = require('pg')
const options = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'u', database: 'd', password: 'p', ssl: false }
Object.assign(options, { connectionTimeoutMillis: 200, query_timeout: 200 })
const pool = new Pool(options)
const settled = () => console.log('settled')
const main = async () => {
  await pool.query('SELECT 1')
  const queries = [1, 2, 3].map((n) => pool.query(`UPDATE t SET n = ${n}`))
  for (const query of queries) query.then(settled, settled)
  await pool.end()
  console.log('ended')
  await Promise.all(queries)
}
main()
END
node server.js
