// What a request with a session cannot do without, alone: so that each cost stands beside the possible.
import { createCipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { PAYLOADS, payload } from './scenarios.mjs'
import { median } from './statistics.mjs'

const key = createSecretKey(randomBytes(32))
const id = randomBytes(24).toString('base64url')
const texts = Object.entries(PAYLOADS).map(([label, bytes]) => [label, JSON.stringify(payload(bytes))])

function seal(text) {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function operations(client) {
  const list = [
    {
      name: 'HMAC-SHA256 of a session ID',
      run: () => createHmac('sha256', key).update(id).digest('base64url')
    },
    { name: 'AES-256-GCM seal, 300 B', run: () => seal(texts[0][1]) },
    ...texts.map(([label, text]) => ({
      name: `JSON parse and stringify, ${label}`,
      run: () => JSON.stringify(JSON.parse(text)),
      batch: 20_000 / Math.sqrt(text.length)
    }))
  ]
  if (client !== undefined) {
    list.push({
      name: 'Redis GET, 300 B',
      wait: true,
      run: () => client.get('limit'),
      batch: 200
    })
  }
  return list
}

/** us per operation by name, medians over interleaved rounds. */
export async function limits(client, { rounds }) {
  await client?.set('limit', texts[0][1])
  const list = operations(client).map((operation) => ({
    batch: 1000,
    times: [],
    ...operation
  }))
  for (let round = -2; round < rounds; round++) {
    for (const { run, wait, batch, times } of list) {
      const start = performance.now()
      if (wait) for (let i = 0; i < batch; i++) await run()
      else for (let i = 0; i < batch; i++) run()
      if (round >= 0) times.push(((performance.now() - start) * 1000) / batch)
    }
  }
  return new Map(list.map(({ name, times }) => [name, median(times)]))
}
