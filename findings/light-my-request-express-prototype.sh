#!/usr/bin/env bash
# light-my-request 6.8.1 with Express 5.3.0: one inject(app) puts light-my-request's own response between Express's
# responses and Node's, for every application of the process. A real server of any other Express application then fails
# on its next response, with "Cannot set properties of undefined (setting 'headers')" thrown by res.writeHead.
# Seen:
#   before 200
#   after TypeError: Cannot set properties of undefined (setting 'headers')
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error express@5.3.0 light-my-request@6.8.1 >/dev/null
cat >try.js <<'JS'
const http = require('node:http')
const express = require('express')
const inject = require('light-my-request')

const served = express().get('/', (_req, res) => {
  try {
    res.end('x')
  } catch (err) {
    console.log('after', String(err))
    process.exit(0)
  }
})
const ask = (port) => new Promise((resolve) => http.get({ port }, (res) => resolve(res.resume().statusCode)))
const server = http.createServer(served).listen(0, async () => {
  const { port } = server.address()
  console.log('before', await ask(port))
  await inject(express().get('/', (_req, res) => res.send('y')), '/')
  console.log('after', await ask(port))
  process.exit(0)
})
JS
output=$(node try.js)
echo "$output"
[ "$output" = "$(printf '%s\n' 'before 200' "after TypeError: Cannot set properties of undefined (setting 'headers')")" ]
