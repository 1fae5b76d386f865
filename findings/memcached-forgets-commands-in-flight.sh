#!/usr/bin/env bash
# memcached 2.2.2 (npm), the client: a command that was sent when its connection ended is never called back, neither with
# an error nor after any of its time limits (`timeout` and `retries` are about connecting, `idle` closes the connection).
# A request that waits for it, behind connect-memcached say, hangs for ever, although the server is back at once.
# Seen: "closed by the server after 'get', not called back within 10 s, while the next get was answered".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund memcached@2.2.2
cat > run.js << 'JS'
const net = require('node:net')
const Memcached = require('memcached')
let connections = 0
const server = net.createServer((socket) => {
  const first = ++connections === 1
  socket.on('data', () => (first ? socket.end() : socket.write('END\r\n')))
})
server.listen(0, '127.0.0.1', () => {
  const client = new Memcached(`127.0.0.1:${server.address().port}`, { timeout: 1000, idle: 1000, retries: 1 })
  let lost = 'not called back'
  client.get('key', () => (lost = 'called back'))
  setTimeout(() => {
    client.get('key', (err, value) => {
      const next = err ? `failed: ${err.message}` : value === undefined ? 'was answered' : value
      console.log(`closed by the server after 'get', ${lost} within 10 s, while the next get ${next}`)
      process.exit(lost === 'not called back' && next === 'was answered' ? 0 : 1)
    })
  }, 10_000)
})
JS
node run.js
