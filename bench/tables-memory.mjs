// Tables of what sessions in memory take, by number of sessions.
import { memory } from './memory.mjs'
import { table } from './tables.mjs'

export async function memoryTables(sizes) {
  const results = await memory(sizes)
  const titled = (row) =>
    results.map((result) => [`${result.size.toLocaleString('en')}, ${result.name}`, ...row(result)])
  const space = titled(({ bytes, text, left, bytesLeft }) => [
    Math.round(bytes),
    text,
    left === 0 ? Math.round(bytesLeft) : 'all there'
  ])
  const pauses = titled(({ inserting, reading, expiring, left }) => [
    ...[inserting, reading].map(pauseOf),
    left === 0 ? pauseOf(expiring) : 'never'
  ])
  const costs = titled(({ request, users }) => [request, users?.list, users?.revoke])
  return [
    table('Bytes a session', ['sessions', 'in all', 'its JSON, whole', 'left after expiry'], space),
    table('Longest turn of the event loop, ms (GC in it)', ['sessions', 'inserting', 'reading', 'expiring'], pauses),
    table('Cost, us', ['sessions', 'request that reads', 'list of one user', 'revoke of one user'], costs)
  ].join('\n')
}

function pauseOf({ ms, gc }) {
  return `${ms.toFixed(1)} (${gc.toFixed(1)})`
}
