// What each trick of speed wins: the package as it is beside copies of it that do without one, in the scenarios that the
// trick is for. One that wins less than a tenth of them goes.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Field } from './middleware.mjs'
import { table } from './tables.mjs'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const COPIES = fileURLToPath(new URL('../node_modules/.cache/silverback-tricks/', import.meta.url))
const SESSIONS = 'silverback sessions(), MemoryStore'
const OVER_OBJECTS = 'silverback session(), ES MemoryStore'
const IN_COOKIES = 'silverback sessions(), CookieStore'
const ROUNDS = 21
const BATCH = 300

const READ = 'c one value read'
const WRITTEN = 'd one value written'
const NEW = 'e new session'
const FORGED = 'g forged cookie, read'

/** `file` is of the built package: each text in it is replaced by the other, which does without the trick. */
const TRICKS = [
  {
    trick: 'records are kept taken apart',
    scenarios: [READ, WRITTEN],
    file: 'store/record-cache.js',
    without: [['id === undefined || ', 'true || ']]
  },
  {
    trick: 'objects of a store are compared with the record that is kept',
    contender: OVER_OBJECTS,
    scenarios: [READ, WRITTEN],
    file: 'store/record-cache.js',
    without: [['(record, before)', '(record, undefined)']]
  },
  {
    trick: 'cookies that verified are remembered',
    scenarios: [READ, WRITTEN],
    file: 'cookie/keys.js',
    without: [['const known = this.#verified.get(value)', 'const known = undefined']]
  },
  {
    trick: 'cookies that were refused are remembered',
    scenarios: [FORGED],
    file: 'cookie/keys.js',
    without: [['this.#refused.get(value) === name', 'false']]
  },
  {
    trick: 'cookies that were opened are found by their end',
    contender: IN_COOKIES,
    scenarios: [READ],
    file: 'cookie/keys.js',
    without: [
      ['get(value.slice(-TAIL_LENGTH))', 'get(value)'],
      ['set(value.slice(-TAIL_LENGTH),', 'set(value,']
    ]
  },
  {
    trick: 'a session is compared with its record instead of serialized',
    scenarios: [READ],
    file: 'lifecycle/snapshot.js',
    without: [[/const changed = .*changesOf.*/, 'const changed = undefined']]
  },
  {
    trick: 'of a changed session only what has changed is serialized',
    scenarios: [WRITTEN],
    file: 'session/data.js',
    without: [['!record.comesAgain', 'true']]
  },
  {
    trick: 'a MAC is made of two hashes in one step each',
    scenarios: [NEW],
    file: 'cookie/mac-key.js',
    without: [
      ['constructor(key) {', 'constructor(key) { this.key = require("node:crypto").createSecretKey(key);'],
      [
        'of(text) {',
        'of(text) { return require("node:crypto").createHmac("sha256", this.key).update(text).digest("base64url");'
      ]
    ]
  },
  {
    trick: 'random bytes come from a pool',
    scenarios: [NEW, FORGED],
    file: 'base/ids.js',
    without: [['used + length > pool.length', 'true || used']]
  },
  {
    trick: 'a lone Vary goes along with the head',
    scenarios: [READ, WRITTEN, FORGED],
    file: 'response/response-hold.js',
    without: [['isUntold ?', 'false ?']]
  },
  {
    trick: 'requests and responses of Express are made dictionaries',
    scenarios: [READ, WRITTEN],
    file: 'request/properties.js',
    without: [['if (!COPIES || ', 'if (true || ']],
    env: { BENCH_LIKE_EXPRESS: '1' }
  }
]

export async function tricksTable() {
  const rows = []
  for (const [i, { trick, contender = SESSIONS, scenarios, file, without, env }] of TRICKS.entries()) {
    const field = await Field.start([
      { name: 'with', contender, env },
      { name: 'without', contender, env: { ...env, BENCH_DIST: copyOf(i, file, without) } }
    ])
    for (const scenario of scenarios) {
      const { costs, error } = await field.measure(scenario, '300 B', { rounds: ROUNDS, batch: BATCH })
      const [has, lacks] = [costs.get('with'), costs.get('without')]
      rows.push([trick, scenario, has, lacks, `${((1 - has / lacks) * 100).toFixed(0)} %`, error])
    }
    field.stop()
  }
  rmSync(COPIES, { recursive: true, force: true })
  const head = ['trick', 'scenario', 'with', 'without', 'wins', 'error of the measurement']
  return table('Tricks, 300 B: us over bare', head, rows)
}

// Inside the repository, where the copy finds its dependencies.
function copyOf(number, file, without) {
  const copy = `${COPIES}${number}`
  rmSync(copy, { recursive: true, force: true })
  cpSync(DIST, copy, { recursive: true })
  let text = readFileSync(`${copy}/${file}`, 'utf8')
  for (const [from, to] of without) {
    const parts = text.split(from)
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times ${from}: the trick has moved`)
    text = parts.join(to)
  }
  writeFileSync(`${copy}/${file}`, text)
  return copy
}
