#!/bin/sh
# ioredis 5.11.1 and redis 6.3.1 (node-redis), the clients of a cluster: commands go on waiting for a master that has
# fallen silent (its host stands still, or left the network without a word), though the cluster has had a new one for long.
#
# A good guess: a cluster client learns of a failover by itself, from the nodes that are well. Seen: both ask for the slots
# anew only when a node redirects them, or when a connection breaks, and this one does not break. ioredis follows with its
# socketTimeout; from node-redis nothing happens for 20 seconds here, and until the operating system gives up. Needs
# redis-server.
#
# Output: "20 s after the failover: ioredis waits, with socketTimeout answers, node-redis waits"
set -eu
folder=$(mktemp -d)
pids=
trap 'kill -KILL $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund redis@6.3.1 ioredis@5.11.1
nodes=
for port in 17901 17902 17903 17904 17905 17906; do
  mkdir "$port"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$folder/$port" --save '' --cluster-enabled yes \
    --cluster-node-timeout 1500 --repl-diskless-sync-delay 0 >/dev/null &
  echo $! >"$port/pid"
  pids="$pids $!"
  nodes="$nodes 127.0.0.1:$port"
done
for node in $nodes; do until redis-cli -p "${node#*:}" ping >/dev/null 2>&1; do sleep 0.1; done; done
redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes >/dev/null
for port in 17904 17905 17906; do
  until redis-cli -p "$port" info replication | grep -q master_link_status:up; do sleep 0.1; done
done
until redis-cli -p 17901 cluster info | grep -q cluster_state:ok; do sleep 0.1; done
cat >run.js <<'JS'
const { execFileSync } = require('node:child_process')
const { setTimeout: wait } = require('node:timers/promises')
const { createCluster } = require('redis')
const { Cluster } = require('ioredis')
const ports = [17902, 17903, 17904, 17905, 17906]
// Its slot is 0.
const KEY = '3560'
const cli = (...args) => execFileSync('redis-cli', args.map(String), { encoding: 'utf8' })
const quiet = (client) => client.on('error', () => undefined)

async function main() {
  const hosts = ports.map((port) => ({ host: '127.0.0.1', port }))
  const node = quiet(createCluster({ rootNodes: hosts.map((socket) => ({ socket })) }))
  await node.connect()
  const clients = {
    ioredis: quiet(new Cluster(hosts)),
    'with socketTimeout': quiet(new Cluster(hosts, { redisOptions: { socketTimeout: 2000 } })),
    'node-redis': node
  }
  for (const client of Object.values(clients)) await client.set(KEY, 'value')
  process.kill(Number(process.argv[2]), 'SIGSTOP')
  const answers = {}
  const ask = () =>
    Object.entries(clients).map(([name, client]) => client.get(KEY).then((value) => (answers[name] = value), () => undefined))
  const owner = () => /127\.0\.0\.1:(\d+)@.* 0-5460$/m.exec(cli('-p', 17902, 'cluster', 'nodes'))?.[1]
  while ([undefined, '17901'].includes(owner())) await wait(200)
  for (let i = 0; i < 40; i++) {
    ask()
    await wait(500)
  }
  const said = Object.keys(clients).map((name) => `${name} ${answers[name] === 'value' ? 'answers' : 'waits'}`)
  console.log(`20 s after the failover: ${said.join(', ')}`)
  process.exit(said.join() === 'ioredis waits,with socketTimeout answers,node-redis waits' ? 0 : 1)
}
main()
JS
node run.js "$(cat 17901/pid)"
