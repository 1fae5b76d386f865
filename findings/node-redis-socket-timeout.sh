#!/bin/sh
# redis 6.3.1 (node-redis): `socketTimeout` ends connections that are well, and keeps one that answers nothing.
#
# A good guess, also from its message ("Expecting data, but didn't receive any"): it ends a connection on which a command
# waits too long, and the client connects again, as with the option of that name in ioredis. Seen, with 500 ms: a client
# that nobody uses for a second is closed for good, since the default reconnectStrategy gives up after this one error. And
# where the server has fallen silent, a client that is asked every 100 ms waits on: what it sends counts as a sign of life.
# Needs redis-server.
#
# Output: "unused for 1 s: node-redis closed, ioredis answers; a silent server for 5 s: node-redis waits, ioredis left it"
set -eu
folder=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund redis@6.3.1 ioredis@5.11.1
redis-server --port 17891 --bind 127.0.0.1 --dir "$folder" --save '' >/dev/null &
pids="$pids $!"
until redis-cli -p 17891 ping >/dev/null 2>&1; do sleep 0.1; done
cat >run.js <<'JS'
const net = require('node:net')
const { setTimeout: wait } = require('node:timers/promises')
const { createClient } = require('redis')
const { Redis } = require('ioredis')
const socketTimeout = 500
const quiet = (client) => client.on('error', () => undefined)
const node = async (port) => {
  const client = quiet(createClient({ socket: { host: '127.0.0.1', port, socketTimeout } }))
  await client.connect()
  return client
}
const io = async (port) => quiet(new Redis(port, '127.0.0.1', { socketTimeout }))

async function unused(connect) {
  const client = await connect(17891)
  await client.ping()
  await wait(1000)
  return client.ping().then(
    () => 'answers',
    (err) => (err.message === 'The client is closed' ? 'closed' : err.message)
  )
}

// What stands between lets the first connection through until it is told to fall silent; a second one is well.
async function beforeSilence(connect) {
  let isSilent = false
  let connections = 0
  const between = net.createServer((socket) => {
    const isFirst = ++connections === 1
    const server = net.connect(17891, '127.0.0.1')
    socket.on('data', (data) => isFirst && isSilent || server.write(data))
    server.on('data', (data) => isFirst && isSilent || socket.write(data))
    for (const side of [socket, server]) side.on('error', () => undefined)
    socket.on('close', () => server.destroy())
  })
  await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve))
  const client = await connect(between.address().port)
  await client.ping()
  isSilent = true
  let answers = 0
  for (let i = 0; i < 50; i++) {
    client.ping().then(() => answers++, () => undefined)
    await wait(100)
  }
  return connections > 1 && answers > 0 ? 'left it' : 'waits'
}

async function main() {
  const [a, b] = [await unused(node), await unused(io)]
  const [c, d] = [await beforeSilence(node), await beforeSilence(io)]
  console.log(`unused for 1 s: node-redis ${a}, ioredis ${b}; a silent server for 5 s: node-redis ${c}, ioredis ${d}`)
  process.exit(a === 'closed' && b === 'answers' && c === 'waits' && d === 'left it' ? 0 : 1)
}
main()
JS
node run.js
