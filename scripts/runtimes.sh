#!/usr/bin/env bash
# Runs an application with both doors on Node, Bun, Deno and workerd, and asks it for everything: login to logout,
# streams, compression before the sessions and behind them, slow and failing stores, second answers.
# The runtimes come from npm, into a temporary folder. `scripts/runtimes.sh bun deno` runs those alone.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap finish EXIT

npm run build >/dev/null
package=$(npm pack --silent --ignore-scripts --pack-destination "$folder")
cp scripts/runtimes/* "$folder"
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error "./$package" express@5.3.0 compression@1.8.2 \
  bun@1.4.5 deno@2.9.6 workerd@1.20261117.1 esbuild@0.28.2
# Where npm runs no scripts of packages, the launcher of Bun is still a placeholder.
bun=node_modules/bun/bin/bun.exe
if [ "$(stat -c %s "$bun")" -lt 1000000 ]; then (cd node_modules/bun && node install.js >/dev/null 2>&1) || true; fi

serve() {
  case $1 in
    node) PORT=$2 exec node app.mjs ;;
    bun) PORT=$2 exec "$bun" app.mjs ;;
    deno) PORT=$2 exec node_modules/.bin/deno run --allow-all --node-modules-dir=manual app.mjs ;;
    workerd)
      node_modules/.bin/esbuild worker.mjs --bundle --platform=node --format=esm --target=es2022 --log-level=error \
        --external:cloudflare:node --outfile=bundle.mjs \
        --banner:js="import { createRequire } from 'node:module'; const require = createRequire('/');"
      exec node_modules/.bin/workerd serve workerd.capnp "--socket-addr=http=127.0.0.1:$2"
      ;;
  esac
}

runtimes=("$@")
if [ "${#runtimes[@]}" -eq 0 ]; then runtimes=(node bun deno workerd); fi
failed=0
for runtime in "${runtimes[@]}"; do
  echo "== $runtime"
  port=$(node -e "const s = require('net').createServer().listen(0, () => { console.log(s.address().port); s.close() })")
  serve "$runtime" "$port" >"$runtime.log" 2>&1 &
  server=$!
  if ! node ask.mjs "$port"; then
    failed=1
    tail -n 20 "$runtime.log"
  fi
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
done
exit "$failed"
