// Asks app.mjs for everything, at the port given; prints what is wrong, and one line about each door and store.
import { gunzipSync } from 'node:zlib'

const [port] = process.argv.slice(2)
const BODY = 'hello'.repeat(4000)

async function ask(path, jar = {}) {
  const res = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: {
      cookie: Object.entries(jar)
        .map((pair) => pair.join('='))
        .join('; '),
      'accept-encoding': 'gzip'
    },
    redirect: 'manual',
    signal: AbortSignal.timeout(10_000)
  }).catch((err) => ({ status: err.name, headers: new Headers(), arrayBuffer: () => '' }))
  const set = res.headers.getSetCookie()
  for (const text of set) {
    const [name, value] = text.split(';')[0].split('=')
    if (/Expires=Thu, 01 Jan 1970|Max-Age=0/.test(text)) delete jar[name]
    else jar[name] = value
  }
  let body
  try {
    const bytes = Buffer.from(await res.arrayBuffer())
    // workerd compresses again what compression() has compressed, with sessions or without.
    body = String(bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes)
  } catch (err) {
    body = String(err)
  }
  return { status: res.status, body, cookies: set.length }
}

let wrong = 0

async function check(root, works) {
  const faults = []
  const expect = async (path, jar, status, body, cookies) => {
    const got = await ask(`${root}/${path}`, jar)
    const fits = got.status === status && (body === undefined || got.body === body)
    if (fits && (cookies === undefined || got.cookies === cookies)) return
    faults.push(
      `${path}: ${got.status}, ${got.body.length} characters (${got.body.slice(0, 60)}), ${got.cookies} cookies`
    )
  }
  const sorry = 'sorry: ERR_SESSION_STORE'
  const page = (path, body) =>
    works ? expect(path, {}, 200, body, 1) : expect(path, {}, 500, root.startsWith('/sessions/') ? sorry : undefined, 0)
  if (works) {
    const jar = {}
    await expect('who', jar, 200, '{"user":null}', 0)
    await expect('login', jar, 302, undefined, 1)
    await expect('who', jar, 200, '{"user":"ann"}')
    await expect('logout', jar, 200, 'out')
    await expect('who', jar, 200, '{"user":null}')
  }
  await page('sent', BODY)
  await page('piped', BODY.repeat(2))
  await page('written', BODY.repeat(3))
  await page('twice', 'once')
  if (works) await page('next', 'once')
  for (const fault of faults) console.log(`  ${root} ${fault}`)
  wrong += faults.length
  return faults.length === 0
}

for (let tries = 0; (await ask('/ready')).body !== 'ready'; tries++) {
  if (tries === 100) throw new Error('The server does not start')
  await new Promise((resolve) => setTimeout(resolve, 100))
}
for (const door of ['sessions', 'session']) {
  for (const kind of ['quick', 'late', 'failing']) {
    const results = []
    for (const place of ['alone', 'before', 'behind']) {
      results.push((await check(`/${door}/${kind}/${place}`, kind !== 'failing')) ? 'works' : 'FAILS')
    }
    console.log(
      `${door}() on a store that is ${kind}: ${results[0]}; compression before it ${results[1]}, behind it ${results[2]}`
    )
  }
}
process.exit(wrong === 0 ? 0 : 1)
