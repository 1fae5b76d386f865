import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const TESTKIT = path.resolve(__dirname, '../dist/testkit.js')

/** Runs the suite of a store, as built, under `node --test`: its exit code, and what it counted. */
async function underNode(store: string) {
  const folder = mkdtempSync(path.join(tmpdir(), 'silverback-testkit-'))
  try {
    const file = path.join(folder, 'store.test.js')
    writeFileSync(
      file,
      `const { storeSuite } = require(${JSON.stringify(TESTKIT)})
      const { MemoryStore } = require(${JSON.stringify(require.resolve('express-session'))})
      storeSuite(() => ${store}, require('node:test'))`
    )
    // Set by a runner around this one, it would be answered in another format.
    const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
    const run = promisify(execFile)(process.execPath, ['--test', '--test-reporter=tap', file], { env })
    const { code = 0, stdout } = await run.catch((err) => err)
    const count = (of: string) => Number(new RegExp(`^# ${of} (\\d+)$`, 'm').exec(stdout)?.[1])
    return { code, pass: count('pass'), fail: count('fail'), stdout }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

it('storeSuite() passes a right store under node:test', async () => {
  const { pass, ...rest } = await underNode('new MemoryStore()')
  expect(rest).toMatchObject({ code: 0, fail: 0 })
  expect(pass).toBeGreaterThan(20)
})

it('storeSuite() fails a wrong store under node:test, by the promise that it breaks', async () => {
  const { code, fail, stdout } = await underNode('Object.assign(new MemoryStore(), { destroy: (id, done) => done() })')
  expect(code).toBe(1)
  expect(fail).toBeGreaterThan(0)
  expect(stdout).toMatch(/not ok \d+ - destroys one session, and does nothing where there is none/)
})
