import { once } from 'node:events'
import fs from 'node:fs/promises'
import { POWERS } from '../../lib/store/contract'
import { FileStore } from '../../lib/stores/file/file'
import { hashOf } from '../../lib/stores/file/folder'
import { Child } from '../helpers/child'
import { TestFolder } from '../helpers/folder'

const cookie = { originalMaxAge: null, expires: null, path: '/' }

let folder: TestFolder
let store: FileStore
let children: Child[]

beforeEach(() => {
  folder = new TestFolder()
  store = new FileStore({ path: folder.at('s') })
  children = []
})

afterEach(async () => {
  jest.restoreAllMocks()
  for (const child of children) await child.kill()
  await store.close()
  folder.remove()
})

async function start(): Promise<Child> {
  const child = await Child.start('file-child')
  children.push(child)
  return child
}

/** Waits for a child to reach the point where it stops for good. */
async function stopped(child: Child, call: string, ...args: unknown[]): Promise<void> {
  const ended = child.call(call, folder.at('s'), ...args)
  ended.catch(() => undefined)
  for (;;) if ((await once(child.process, 'message'))[0] === 'stopped') return
}

const leftovers = () => ['claims', 'lease-claims', 'temp'].flatMap((kind) => folder.files('s', kind))

describe('several processes on one folder', () => {
  it('count to exactly 1,000 together by conditional writes', async () => {
    const both = await Promise.all([start(), start()])
    // Once more where one was done before the other had begun.
    for (let conflicts = 0; conflicts === 0;) {
      await store.set('a', { cookie, n: 0 })
      const met = await Promise.all(both.map((child) => child.call('increment', folder.at('s'), 'a', 500)))
      expect(await store.get('a')).toMatchObject({ n: 1000 })
      conflicts = met[0] + met[1]
    }
    expect(leftovers()).toEqual([])
  })

  it('save one ID 10,000 times: always readable, and a lost update is detected', async () => {
    const both = await Promise.all([start(), start()])
    await store.set('a', { cookie, items: [] })
    const before = (await store[POWERS].read('a'))!.text
    const unreadable = await Promise.all(both.map((child) => child.call('saveOften', folder.at('s'), 'a', 5000)))
    expect(unreadable).toEqual([0, 0])
    const life = { usedAt: Date.now(), expiresAt: null }
    expect(await store[POWERS].write({ id: 'a', text: '{"cookie":{}}', expected: before, life })).toMatchObject({
      usedAt: expect.any(Number)
    })
    expect(leftovers()).toEqual([])
  })
})

describe('processes that are killed', () => {
  it('between temporary file and rename: the old session stays, the next save works, temps are swept', async () => {
    await store.set('a', { cookie, n: 'old' })
    const child = await start()
    await stopped(child, 'stopBeforeRename', 'a')
    expect(folder.files('s', 'temp')).toHaveLength(1)
    expect(folder.files('s', 'claims')).toEqual([expect.stringMatching(`^${hashOf('a')}\\.`)])
    await store.sweep()
    // It lives: what it holds and writes is its own.
    expect(folder.files('s', 'temp')).toHaveLength(1)
    await child.kill()
    expect(await store.get('a')).toMatchObject({ n: 'old' })
    await store.set('a', { cookie, n: 'next' })
    expect(await store.get('a')).toMatchObject({ n: 'next' })
    await store.sweep()
    expect(leftovers()).toEqual([])
  })

  it('at any moment, in 1,000 writers: each session is whole, nothing stays locked, everything is swept', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `id${i}`)
    for (const id of ids) await store.set(id, { cookie, size: 0, filler: '' })
    for (let round = 0; round < 25; round++) {
      const pair = await Promise.all([start(), start()])
      await Promise.all(
        pair.map(async (child) => {
          child.call('writeForEver', folder.at('s'), ids).catch(() => undefined)
          for (let writes = Math.floor(Math.random() * 60); writes > 0; writes--) await once(child.process, 'message')
          await child.kill()
        })
      )
      for (const id of ids) {
        const record = (await store.get(id))!
        expect(record.filler).toHaveLength(record.size)
      }
    }
    expect((await fs.readdir(folder.at('s'))).includes('quarantine')).toBe(false)
    for (const id of ids) await store.set(id, { cookie, done: true })
    // What was written and never claimed goes when nobody can be at it any more.
    later(600_001)
    await store.sweep()
    expect(leftovers()).toEqual([])
    expect(await store.length()).toBe(20)
  })

  it('do not spoil what the others count', async () => {
    await store.set('a', { cookie, n: 0, killed: 0 })
    const both = await Promise.all([start(), start()])
    let killed = 0
    const counting = (async () => {
      let n = 0
      for (; killed < 3; n += 200) {
        await Promise.all(both.map((child) => child.call('increment', folder.at('s'), 'a', 100)))
      }
      return n
    })()
    for (; killed < 3; killed++) {
      const victim = await start()
      const victims = victim.call('increment', folder.at('s'), 'a', 1_000_000, 'killed').catch(() => undefined)
      const before = (await store.get('a'))!.killed
      while ((await store.get('a'))!.killed === before) await new Promise(setImmediate)
      await victim.kill()
      await victims
    }
    const n = await counting
    expect(await store.get('a')).toMatchObject({ n })
  })

  it('leave a claim that the next one passes, also where that one was killed as well', async () => {
    await store.set('a', { cookie, n: 'old' })
    for (let round = 0; round < 2; round++) {
      const child = await start()
      await stopped(child, 'stopBeforeRename', 'a')
      await child.kill()
    }
    expect(folder.files('s', 'claims')).toHaveLength(2)
    await store.sweep()
    expect(folder.files('s', 'claims')).toHaveLength(2)
    expect(await store.get('a')).toMatchObject({ n: 'old' })
    await store.set('a', { cookie, n: 'next' })
    expect(await store.get('a')).toMatchObject({ n: 'next' })
    expect(leftovers()).toEqual([])
  })

  it.each([
    ['what it wrote was deleted', () => fs.rm(folder.at('s', 'temp'), { recursive: true })],
    [
      'a power cut emptied it',
      async () => {
        for (const file of folder.files('s', 'claims')) await fs.writeFile(folder.at('s', 'claims', file), '')
      }
    ]
  ])('leave a claim that the next one passes, also where %s', async (_, spoil) => {
    await store.set('a', { cookie, n: 'old' })
    const child = await start()
    await stopped(child, 'stopBeforeRename', 'a')
    await child.kill()
    await spoil()
    const both = [store, new FileStore({ path: folder.at('s') })]
    await Promise.all(both.map((each) => each.set('a', { cookie, n: 'next' })))
    expect(await store.get('a')).toMatchObject({ n: 'next' })
    expect(folder.files('s', 'claims')).toEqual([])
    await both[1]!.close()
  })

  it('leave a removal that is finished by whoever writes next, and nothing is written over', async () => {
    await store.set('a', { cookie, n: 'old' })
    const { text } = (await store[POWERS].read('a'))!
    const child = await start()
    await stopped(child, 'stopInRemoval', 'a')
    await child.kill()
    const life = { usedAt: Date.now(), expiresAt: null }
    expect(await store[POWERS].write({ id: 'a', text: '{"cookie":{}}', expected: text, life })).toBeNull()
    expect(await store.get('a')).toBeNull()
    expect(folder.files('s', 'records')).toEqual([])
    expect(leftovers()).toEqual([])
  })

  it('keep the lock of a session until its time is over', async () => {
    const child = await start()
    const lock = store[POWERS].lock!
    expect(await child.call('acquire', folder.at('s'), 'a', 'theirs', 3_600_000)).toBe(true)
    await child.kill()
    expect(await lock.acquire('a', 'ours', 1000)).toBe(false)
    later(3_600_000)
    expect(await lock.acquire('a', 'ours', 1000)).toBe(true)
  })

  it('leave a lock that nobody asks for to the sweep', async () => {
    const child = await start()
    await child.call('acquire', folder.at('s'), 'a', 'theirs', 3_600_000)
    await child.kill()
    await store.sweep()
    expect(folder.files('s', 'leases')).toHaveLength(1)
    later(3_600_000)
    await store.sweep()
    expect(folder.files('s', 'leases')).toEqual([])
  })
})

describe('a process that is too slow', () => {
  it.each<[string, (text: string) => unknown, unknown, unknown]>([
    [
      'writes nothing over what was written meanwhile',
      () => store.set('a', { cookie, n: 'theirs' }),
      { text: JSON.stringify({ cookie, n: 'theirs' }) },
      { n: 'theirs' }
    ],
    ['brings nothing back that was removed meanwhile', () => store.destroy('a'), null, null]
  ])('%s', async (_, meanwhile, answer, kept) => {
    await store.set('a', { cookie, n: 'old' })
    const { text } = (await store[POWERS].read('a'))!
    const child = await start()
    const go = folder.at('go')
    const written = child.call('writeLate', folder.at('s'), 'a', JSON.stringify({ cookie, n: 'late' }), text, go)
    while ((await once(child.process, 'message'))[0] !== 'stopped');
    await meanwhile(text)
    await fs.writeFile(go, '')
    expect(await written).toEqual(answer && expect.objectContaining(answer as object))
    expect(await store.get('a')).toEqual(kept && expect.objectContaining(kept as object))
    expect(leftovers()).toEqual([])
  })
})

function later(span: number): void {
  const { now } = Date
  jest.spyOn(Date, 'now').mockImplementation(() => now() + span)
}
