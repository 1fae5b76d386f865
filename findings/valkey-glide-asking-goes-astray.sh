#!/bin/sh
# @valkey/valkey-glide 2.5.2: while a cluster moves a slot, parallel GETs of a key in it fail with MOVED.
#
# A good guess: a cluster client follows every redirection by itself, as node-redis and ioredis do; one request alone does
# show it here. Seen: of parallel commands that the old node answers with ASK, the ASKING of one reaches the new node just
# ahead of another command; the first is then refused with MOVED, and the caller of `get()` sees a RequestError. It was not
# carried out, so a few more tries, some milliseconds apart, are safe and succeed. Needs redis-server 7.
#
# Output: "one at a time: 0 of 200 refused; 20 at a time: N of 4000 refused (Moved)", N above 0
set -eu
folder=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @valkey/valkey-glide@2.5.2
for port in 17871 17872; do
  mkdir $port
  redis-server --port $port --bind 127.0.0.1 --dir "$folder/$port" --save '' --cluster-enabled yes --cluster-port $((port + 100)) >/dev/null &
  pids="$pids $!"
done
until redis-cli -p 17871 ping >/dev/null 2>&1 && redis-cli -p 17872 ping >/dev/null 2>&1; do sleep 0.1; done
redis-cli -p 17871 cluster addslotsrange 0 8191 >/dev/null
redis-cli -p 17872 cluster addslotsrange 8192 16383 >/dev/null
redis-cli -p 17871 cluster meet 127.0.0.1 17872 17972 >/dev/null
until redis-cli -p 17871 cluster info | grep -q state:ok && redis-cli -p 17872 cluster info | grep -q state:ok; do sleep 0.2; done
# The key "b" lies in slot 3300; the key is there already, the slot still belongs to the first node.
redis-cli -p 17871 set b 1 >/dev/null
redis-cli -p 17872 cluster setslot 3300 importing "$(redis-cli -p 17871 cluster myid)" >/dev/null
redis-cli -p 17871 cluster setslot 3300 migrating "$(redis-cli -p 17872 cluster myid)" >/dev/null
redis-cli -p 17871 migrate 127.0.0.1 17872 b 0 5000 >/dev/null
cat >run.js <<'JS'
const { GlideClusterClient, Logger } = require('@valkey/valkey-glide')
Logger.setLoggerConfig('off')
const run = async () => {
  const addresses = [{ host: '127.0.0.1', port: 17871 }]
  const client = await GlideClusterClient.createClient({ addresses })
  const reasons = new Set()
  const refused = async (rounds, together) => {
    let count = 0
    const failed = (err) => (count++, reasons.add(/Moved|Ask/.exec(err.message)?.[0] ?? err.message))
    for (let i = 0; i < rounds; i++) await Promise.all(Array.from({ length: together }, () => client.get('b').catch(failed)))
    return count
  }
  const alone = await refused(200, 1)
  const parallel = await refused(200, 20)
  console.log(`one at a time: ${alone} of 200 refused; 20 at a time: ${parallel} of 4000 refused (${[...reasons]})`)
  client.close()
  process.exit(alone === 0 && parallel > 0 ? 0 : 1)
}
run()
JS
node run.js
