#!/usr/bin/env bash
# connect-memcached 3.0.0 on memcached 1.6: a session whose cookie lives longer than 30 days is gone at once. The store
# passes the seconds of `cookie.maxAge` on as they are, and memcached takes more than 2,592,000 for a Unix time, here one
# in January 1970. `set` reports success. (A maxAge below one second becomes 0, which memcached takes for "never".)
# Seen: "30 days: found; 31 days: lost". Needs a memcached server in the PATH.
set -euo pipefail
folder=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
memcached -u nobody -l 127.0.0.1 -p "$port" & server=$!
trap 'kill $server; rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund connect-memcached@3.0.0 express-session@1.19.0
cat > run.js << 'JS'
const session = require('express-session')
const MemcachedStore = require('connect-memcached')(session)
const store = new MemcachedStore({ hosts: [`127.0.0.1:${process.argv[2]}`] })
const kept = (days) =>
  new Promise((resolve, reject) => {
    const cookie = new session.Cookie({ maxAge: days * 24 * 60 * 60 * 1000 })
    store.set(`s${days}`, { cookie }, (err) => {
      if (err) return reject(err)
      store.get(`s${days}`, (failed, found) => resolve(`${days} days: ${failed ? 'error' : found ? 'found' : 'lost'}`))
    })
  })
kept(30).then(async (first) => {
  const told = `${first}; ${await kept(31)}`
  console.log(told)
  process.exit(told === '30 days: found; 31 days: lost' ? 0 : 1)
})
JS
node run.js "$port"
