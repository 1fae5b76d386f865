#!/bin/sh
# redis 6.3.1 (node-redis): a client made by createSentinel sends a command only when the one before it was answered.
#
# A good guess: it pipelines as createClient does, since all of them write to one connection to the master. Seen: of 50 GETs
# that are asked for in one turn each waits for the lease of that connection, so that they take 50 round trips. With
# `reserveClient: true` the lease is taken once, and they leave in one packet. Needs redis-server.
#
# Output: "GETs of one turn in one packet, at most: createClient 50, createSentinel 1, with reserveClient 50"
set -eu
folder=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund redis@6.3.1
redis-server --port 17881 --bind 127.0.0.1 --dir "$folder" --save '' >/dev/null &
pids="$pids $!"
until redis-cli -p 17881 ping >/dev/null 2>&1; do sleep 0.1; done
# The sentinel knows the master by a port that counts the commands of each packet.
printf 'port 17883\nbind 127.0.0.1\nsentinel monitor one 127.0.0.1 17882 1\n' >sentinel.conf
redis-server sentinel.conf --sentinel >/dev/null &
pids="$pids $!"
until redis-cli -p 17883 ping >/dev/null 2>&1; do sleep 0.1; done
cat >run.js <<'JS'
const net = require('node:net')
const { createClient, createSentinel } = require('redis')
let most = 0
const counting = net.createServer((client) => {
  const master = net.connect(17881, '127.0.0.1')
  client.on('data', (packet) => {
    most = Math.max(most, packet.toString('latin1').split('\r\nGET\r\n').length - 1)
    master.write(packet)
  })
  master.pipe(client)
  client.on('close', () => master.destroy()).on('error', () => undefined)
  master.on('error', () => undefined)
})
const ask = async (client) => {
  client.on('error', () => undefined)
  await client.connect()
  await client.get('k')
  most = 0
  await Promise.all(Array.from({ length: 50 }, () => client.get('k')))
  return most
}
counting.listen(17882, '127.0.0.1', async () => {
  const sentinel = { name: 'one', sentinelRootNodes: [{ host: '127.0.0.1', port: 17883 }] }
  const alone = await ask(createClient({ url: 'redis://127.0.0.1:17882' }))
  const shared = await ask(createSentinel(sentinel))
  const reserved = await ask(createSentinel({ ...sentinel, reserveClient: true }))
  console.log(
    `GETs of one turn in one packet, at most: createClient ${alone}, createSentinel ${shared}, with reserveClient ${reserved}`
  )
  process.exit(alone > 10 && shared === 1 && reserved > 10 ? 0 : 1)
})
JS
node run.js
