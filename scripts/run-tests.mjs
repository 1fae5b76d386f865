// Runs all tests on this Node, what a newcomer does, and the core of the tests on the versions of Node that are given,
// which npm brings. `--core` leaves out the first two. Files that fail run once more, with nothing beside them: a test that
// passes then is told as unsteady, which is a fault to mend as any other, and fails no run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { causeOf, newcomer } from './newcomer.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
// What differs between versions of Node is its HTTP, streams, JSON, crypto, files and SQLite: the response, the engine in
// its comparison with express-session, the stores in memory, files and SQLite, and the parts. Other servers, what several
// processes do to one another, browsers, documents and packages are the same.
const CORE = [
  'faults/.*',
  'unit/.*',
  'compat/(both-packages|express-session|middleware|responses|session|store-base)',
  'stores/(cookie|file(?!-processes).*|memory|sqlite)',
  '(cookies|data|errors|hosts|keys|open|options|redirects|regenerate|registry|response.*|schema|transport)'
]
const MESSAGE_LENGTH = 400
/** Where more files fail, it is not for want of steadiness. */
const AGAIN_MAX = 3
const CORE_TESTS = `__tests__/(${CORE.join('|')})\\.test\\.ts$`

const here = process.versions.node.split('.')[0]
const versions = process.argv.slice(2).filter((word) => /^\d+$/.test(word) && word !== here)
const work = mkdtempSync(path.join(tmpdir(), 'silverback-tests-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

/** Runs a program; gives how it ended, `null` where it was killed. */
async function run(command, args, options) {
  const [status] = await once(spawn(command, args, options), 'close')
  return status
}

/** A Node of that version, kept for later runs. */
async function nodeOf(version) {
  const folder = path.join(root, 'node_modules/.cache/nodes', version)
  const binary = path.join(folder, 'node_modules/node/bin/node')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }))
  const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=5']
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key)))
  const status = await run('npm', ['install', ...flags, `node@${version}`], { cwd: folder, env, stdio: 'inherit' })
  if (status !== 0) throw new Error(`npm could not install Node ${version}`)
  return binary
}

/** Runs tests, and once more the files of those that fail. */
async function tests(node, ...args) {
  const { passed, failed, files } = await jest(node, ...args)
  if (files.length === 0 || files.length > AGAIN_MAX) return { passed, failed, unsteady: [] }
  const again = await jest(node, '--runInBand', '--runTestsByPath', ...files)
  const title = (text) => text.split('\n', 1)[0]
  const failing = new Set(again.failed.map(title))
  const unsteady = failed.filter((text) => !failing.has(title(text)))
  return { passed: passed + unsteady.length, failed: again.failed, unsteady }
}

/** Runs jest. */
async function jest(node, ...args) {
  const output = path.join(work, 'results.json')
  rmSync(output, { force: true })
  // `node` and `npm` in processes that tests start are of this version too.
  const env = { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}` }
  const flags = [path.join(root, 'node_modules/jest/bin/jest.js'), '--ci', '--json', `--outputFile=${output}`]
  const status = await run(node, [...flags, ...args], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const found = existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : {}
  const failing = (found.testResults ?? []).filter(({ status }) => status === 'failed')
  const failed = failing.flatMap(failuresIn)
  if (failed.length === 0 && status !== 0) failed.push('jest ended with an error')
  return { passed: found.numPassedTests ?? 0, failed, files: failing.map(({ name }) => name) }
}

/** The titles of what failed in a file and why, or the file where no test of it could run. */
function failuresIn({ name, message, assertionResults }) {
  const file = path.relative(root, name)
  const failed = assertionResults.filter(({ status }) => status === 'failed')
  if (failed.length === 0) return [`${file}\n    ${beginningOf(message)}`]
  return failed.map(({ fullName, failureMessages }) => {
    return `${file}: ${fullName}\n    ${beginningOf(failureMessages.join('\n'))}`
  })
}

/** The first lines of a failure's message, in one, with the first place in the tests where it happened. */
function beginningOf(message) {
  const lines = stripVTControlCharacters(message).split('\n')
  const isPlace = (line) => /^\s+at /.test(line)
  const place = lines.find((line) => isPlace(line) && line.includes('__tests__') && !line.includes('node_modules'))
  const said = lines
    .filter((line) => !isPlace(line))
    .map((line) => line.trim())
    .filter(Boolean)
  return [said.join(' | ').slice(0, MESSAGE_LENGTH), place?.trim().replaceAll(root, '')].filter(Boolean).join(' ')
}

const runs = []
if (!process.argv.includes('--core')) {
  runs.push([`Node ${process.versions.node}`, () => tests(process.execPath)], ['A newcomer', newcomer])
}
// These come one after another while the first tests run. One that cannot be had is told in its turn.
let coming = Promise.resolve()
for (const version of versions) {
  const node = coming.then(() => nodeOf(version))
  coming = node.catch(() => undefined)
  runs.push([`Node ${version}, core`, async () => tests(await node, '--testPathPatterns', CORE_TESTS)])
}

const total = { passed: 0, failed: 0, unsteady: 0 }
const lines = []
for (const [name, perform] of runs) {
  const start = Date.now()
  const result = await perform().catch((err) => ({ passed: 0, failed: [causeOf(err)] }))
  const { passed, failed, unsteady = [] } = result
  total.passed += passed
  total.failed += failed.length
  total.unsteady += unsteady.length
  lines.push(`${name}: ${passed} passed, ${failed.length} failed in ${Math.round((Date.now() - start) / 1000)} s`)
  lines.push(...failed.map((what) => `  FAILED ${what}`), ...unsteady.map((what) => `  UNSTEADY ${what}`))
}
const { passed, failed, unsteady } = total
console.log(
  [...lines, `${passed} passed, ${failed} failed${unsteady > 0 ? `, ${unsteady} of them unsteady` : ''}`].join('\n')
)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
