#!/usr/bin/env bash
# workerd 1.20261117.1 (nodejs_compat): a node:http handler that sends a gzipped body with "Content-Encoding: gzip", as
# compression() does, is compressed once more by the runtime: a client that undoes one gzip, as the header says, gets
# the other. Node, Bun and Deno send the bytes as they were written.
# Seen:
#   content-encoding gzip, after one gunzip still gzipped: true
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error workerd@1.20261117.1 >/dev/null
cat >worker.mjs <<'JS'
import http from 'node:http'
import { gzipSync } from 'node:zlib'
import { httpServerHandler } from 'cloudflare:node'

http
  .createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' })
    res.end(gzipSync('hello '.repeat(100)))
  })
  .listen(8080)
export default httpServerHandler({ port: 8080 })
JS
cat >config.capnp <<'CAPNP'
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "app", worker = .app)],
  sockets = [(name = "http", http = (), service = "app")]
);
const app :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.mjs")],
  compatibilityDate = "2026-07-01",
  compatibilityFlags = ["nodejs_compat"]
);
CAPNP
cat >ask.mjs <<'JS'
const [port] = process.argv.slice(2)
for (let tries = 0; ; tries++) {
  const res = await fetch(`http://127.0.0.1:${port}/`).catch((err) => err)
  if (res instanceof Error && tries < 100) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    continue
  }
  if (res instanceof Error) throw res
  const bytes = Buffer.from(await res.arrayBuffer())
  const again = bytes[0] === 0x1f && bytes[1] === 0x8b
  console.log(`content-encoding ${res.headers.get('content-encoding')}, after one gunzip still gzipped: ${again}`)
  break
}
JS
port=$(node -e "const s = require('net').createServer().listen(0, () => { console.log(s.address().port); s.close() })")
node_modules/.bin/workerd serve config.capnp "--socket-addr=http=127.0.0.1:$port" >server.log 2>&1 &
server=$!
output=$(node ask.mjs "$port")
echo "$output"
[ "$output" = 'content-encoding gzip, after one gunzip still gzipped: true' ]
