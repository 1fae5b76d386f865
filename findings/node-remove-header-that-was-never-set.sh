#!/usr/bin/env bash
# Node 26.10.0 (20.20.2 as well): removeHeader() of a response also forbids what Node would add by itself, although the
# header was never set. After removeHeader('Content-Length') a body of known length is sent in chunks. After that and
# removeHeader('Transfer-Encoding') it has no framing at all: Node closes the connection behind it, while the head goes
# on to say `Connection: keep-alive` with a timeout. An error handler that clears the headers of the body it replaces
# must ask hasHeader() first.
# Seen: "nothing: 2; Content-Length: chunked; both: keep-alive, closed".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true,"allowScripts":{"node":true}}' >package.json
npm install --silent --no-audit --no-fund node@26.10.0
cat >run.cjs <<'EOF'
const http = require('node:http')
const net = require('node:net')
const server = http.createServer((req, res) => {
  for (const name of req.url.slice(1).split(',').filter(Boolean)) res.removeHeader(name)
  res.end('hi')
})
// What comes on a connection that asks to be kept, until the server closes it or has answered a second time.
const ask = (names) =>
  new Promise((resolve) => {
    const socket = net.connect(server.address().port)
    const request = (path) => socket.write(`GET /${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    let text = ''
    socket.on('data', (data) => {
      text += data
      if (text.endsWith('hi') && !text.includes('HTTP/1.1', 1)) request('')
      if (text.includes('HTTP/1.1', 1) || text.endsWith('0\r\n\r\n')) socket.end()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      const head = text.split('\r\n\r\n', 1)[0]
      const value = (name) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1].trim()
      const closed = text.includes('HTTP/1.1', 1) ? 'kept' : 'closed'
      resolve(value('content-length') ?? value('transfer-encoding') ?? `${value('connection')}, ${closed}`)
    })
    request(names.join())
  })
server.listen(0, async () => {
  const nothing = await ask([])
  const length = await ask(['Content-Length'])
  const both = await ask(['Content-Length', 'Transfer-Encoding'])
  console.log(`nothing: ${nothing}; Content-Length: ${length}; both: ${both}`)
  server.close()
})
EOF
seen=$(node_modules/node/bin/node run.cjs)
if [ "$seen" = "nothing: 2; Content-Length: chunked; both: keep-alive, closed" ]; then
  echo "$seen"
else
  echo "changed: $seen" >&2
  exit 1
fi
