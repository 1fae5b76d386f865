#!/bin/sh
# pg 8.23.1 (pg-pool 3.14.0): the callback of pool.query() runs in the AsyncLocalStorage of whoever opened the connection.
#
# A good guess: in the context of the call, as with a promise; or, by what is told of callbacks, in none ("context loss",
# getStore() gives undefined, which a logger would show). Seen: neither. A connection's socket keeps the context that it
# was made in, and the pool hands it to everybody, so all who come later find the first caller's store: a log line or a
# trace of theirs bears the first one's ID, and nothing looks wrong. The promise form gives each its own. Bind callbacks
# with AsyncResource.bind(), or call the store through a promise.
#
# Output: "callbacks: A finds A, B finds A, C finds A; promises: A finds A, B finds B, C finds C"
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pg@8.23.1
cat >try.js <<'END'
const net = require('node:net')
const { AsyncLocalStorage } = require('node:async_hooks')
const { Pool } = require('pg')
// As much of a PostgreSQL as is needed to answer every statement.
const message = (type, body) => {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const ready = message('Z', Buffer.from('I'))
const server = net.createServer((socket) => {
  let greeting = Buffer.concat([message('R', Buffer.alloc(4)), ready])
  socket.on('error', () => {})
  socket.on('data', (data) => {
    if (greeting || data[0] === 0x51) socket.write(greeting ?? Buffer.concat([message('C', Buffer.from('SELECT 0\0')), ready]))
    greeting = undefined
  })
})
const context = new AsyncLocalStorage()
server.listen(0, '127.0.0.1', async () => {
  const ask = async (way) => {
    const pool = new Pool({ host: '127.0.0.1', port: server.address().port, user: 'x', database: 'x', max: 1 })
    const found = []
    for (const name of ['A', 'B', 'C']) {
      await new Promise((resolve) => {
        const note = () => resolve(found.push(`${name} finds ${context.getStore()}`))
        context.run(name, () => (way === 'callbacks' ? pool.query('SELECT 1', note) : pool.query('SELECT 1').then(note)))
      })
    }
    return `${way}: ${found.join(', ')}`
  }
  console.log([await ask('callbacks'), await ask('promises')].join('; '))
  process.exit(0)
})
END
expected='callbacks: A finds A, B finds A, C finds A; promises: A finds A, B finds B, C finds C'
seen=$(node try.js)
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected" >&2; exit 1; }
