#!/usr/bin/env bash
# memcached 2.2.2 (npm), the client: a SERVER_ERROR of the server, or of a proxy before it, reaches the callback as
# `false` without an error. So a `del` that the server refused looks exactly like one that found nothing (false), a `cas`
# like a conflict, and a `get` differs from a miss (undefined) only by what is falsy in another way. Code that asks for
# `err` alone, connect-memcached 3 among it, takes an outage behind a proxy for a logged-out visitor, and a logout that
# was refused for one that was carried out. Sent by real servers ("out of memory storing object") and by mcrouter and
# twemproxy when their backend is gone. The reason is told only by the client's event "issue".
# Seen: "get: no error, false; del: no error, false; cas: no error, false".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund memcached@2.2.2
cat > run.js << 'JS'
const net = require('node:net')
const Memcached = require('memcached')
const ask = (verb, ...args) =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => socket.on('data', () => socket.write('SERVER_ERROR backend is gone\r\n')))
    server.listen(0, '127.0.0.1', () => {
      const client = new Memcached(`127.0.0.1:${server.address().port}`)
      client[verb](...args, (err, value) => resolve(`${verb}: ${err ? 'an error' : 'no error'}, ${value}`))
    })
  })
Promise.all([ask('get', 'key'), ask('del', 'key'), ask('cas', 'key', 'value', '1', 60)]).then((seen) => {
  const told = seen.join('; ')
  console.log(told)
  process.exit(told === 'get: no error, false; del: no error, false; cas: no error, false' ? 0 : 1)
})
JS
node run.js
