import { writeFileSync } from 'node:fs'
import type { Powers } from '../../lib/store/contract'
import { decodeRecord } from '../../lib/record/record'
import { Child } from '../helpers/child'
import { TestFolder } from '../helpers/folder'
import { increment, life, powersAt } from '../helpers/go-files-child'
import { until } from '../helpers/redis-server'
import { HOUR } from '../helpers/times'

const ID = 'A'.repeat(52)
let folder: TestFolder
let powers: Powers

beforeEach(async () => {
  folder = new TestFolder()
  powers = powersAt(folder.path)
  const { usedAt } = life()
  const text = `{"cookie":{"originalMaxAge":null},"silverback_meta":{"u":${usedAt},"c":${usedAt}},"n":0}`
  expect(await powers.write({ id: ID, text, expected: null, life: life() })).toBe(true)
})
afterEach(() => {
  jest.restoreAllMocks()
  folder.remove()
})

const count = async () => decodeRecord((await powers.read(ID))!.text)!.data.n

async function killedAt(step: 'link' | 'rename' | 'unlink', change = 'write'): Promise<void> {
  const child = await Child.start('go-files-child')
  await expect(child.call('dieAt', step, change, folder.path, ID)).rejects.toThrow('ended')
}

it('counts to exactly 400 in two processes', async () => {
  const both = await Promise.all([Child.start('go-files-child'), Child.start('go-files-child')])
  await Promise.all(both.map((child) => child.call('increment', folder.path, ID, 200)))
  expect(await count()).toBe(400)
  expect(folder.files()).toEqual([`session_${ID}`])
  for (const child of both) await child.kill()
})

it('a process killed in the middle of a write holds nobody up, and those who come then all count', async () => {
  for (let round = 1; round <= 2; round++) await killedAt('rename')
  expect(await count()).toBe(0)
  const since = performance.now()
  const others = await Promise.all([Child.start('go-files-child'), Child.start('go-files-child')])
  await Promise.all([
    increment(folder.path, ID, 20),
    ...others.map((child) => child.call('increment', folder.path, ID, 20))
  ])
  expect(performance.now() - since).toBeLessThan(5000)
  expect(await count()).toBe(60)
  expect(folder.files()).toEqual([`session_${ID}`])
  for (const child of others) await child.kill()
})

it('a logout whose process was killed is finished by whoever writes next', async () => {
  const { text } = (await powers.read(ID))!
  await killedAt('unlink', 'remove')
  expect(await powers.write({ id: ID, text, expected: text, life: life() })).toBeNull()
  expect(await powers.read(ID)).toBeNull()
})

it('what killed processes have left is removed, and nothing else', async () => {
  // Before its claim, and behind the change itself.
  await killedAt('link')
  await killedAt('unlink')
  writeFileSync(folder.at('.silverback-notes'), '')
  const kinds = folder.files().map((name) => name.split(/[-_]/).slice(0, -1).join('-'))
  expect(kinds).toEqual([`.silverback-${ID}`, `.silverback-claim-${ID}`, '.silverback', 'session'])
  const { text } = (await powers.read(ID))!
  jest.spyOn(Date, 'now').mockReturnValue(Date.now() + HOUR)
  expect(await powers.write({ id: ID, text, expected: text, life: life() })).toBe(true)
  await until(() => folder.files().length === 2, 'they are gone')
  expect(folder.files()).toEqual(['.silverback-notes', `session_${ID}`])
})
