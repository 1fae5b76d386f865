/** What other processes on a FileStore's folder do (see child.ts). */
import { existsSync } from 'node:fs'
import fs from 'node:fs/promises'
import { POWERS, type Found } from '../../lib/store/contract'
import { FileStore } from '../../lib/stores/file/file'

const cookie = { originalMaxAge: null, expires: null, path: '/' }
const life = () => ({ usedAt: Date.now(), expiresAt: Date.now() + 3_600_000 })
const stores = new Map<string, FileStore>()

function storeAt(path: string): FileStore {
  let store = stores.get(path)
  if (store === undefined) stores.set(path, (store = new FileStore({ path })))
  return store
}

/** Adds `times` times one, by conditional writes. Answers how often another process was faster. */
export async function increment(path: string, id: string, times: number, key = 'n'): Promise<number> {
  const powers = storeAt(path)[POWERS]
  let conflicts = 0
  for (let done = 0; done < times;) {
    const found = (await powers.read(id)) as Found
    const record = JSON.parse(found.text)
    record[key]++
    const written = await powers.write({ id, text: JSON.stringify(record), expected: found.text, life: life() })
    if (written === true) done++
    else conflicts++
  }
  return conflicts
}

/** Saves unconditionally, each time a number of items that fits the first, and checks that in between. */
export async function saveOften(path: string, id: string, rounds: number): Promise<number> {
  const store = storeAt(path)
  let unreadable = 0
  for (let round = 0; round < rounds; round++) {
    await store.set(id, { cookie, by: process.pid, items: Array(round % 50).fill(round) })
    if (round % 5 > 0) continue
    const record = await store.get(id)
    if (!record || record.items.length !== (record.items[0] ?? 0) % 50) unreadable++
  }
  return unreadable
}

/** Writes some sessions for ever, until somebody kills this process. */
export async function writeForEver(path: string, ids: string[]): Promise<never> {
  const store = storeAt(path)
  const loop = async (id: string) => {
    for (let round = 1; ; round++) {
      await store.set(id, { cookie, size: round % 40, filler: 'x'.repeat(round % 40) })
      process.send!('wrote')
    }
  }
  await Promise.all(ids.map(loop))
  throw new Error('unreachable')
}

/** Begins a write, and stops for good right before the new file takes its place. */
export async function stopBeforeRename(path: string, id: string): Promise<never> {
  jam('rename')
  await storeAt(path).set(id, { cookie, n: 'new' })
  throw new Error('unreachable')
}

/** Begins a removal, and stops for good when nothing but the file itself is left to remove. */
export async function stopInRemoval(path: string, id: string): Promise<never> {
  jam('unlink')
  await storeAt(path).destroy(id)
  throw new Error('unreachable')
}

/** Writes over `expected`, and waits for the file `go` right before the new file takes its place. */
export async function writeLate(
  path: string,
  id: string,
  text: string,
  expected: string,
  go: string
): Promise<unknown> {
  const { rename } = fs
  fs.rename = async (...names) => {
    fs.rename = rename
    process.send!('stopped')
    while (!existsSync(go)) await new Promise((resolve) => setTimeout(resolve, 5))
    return rename(...names)
  }
  return storeAt(path)[POWERS].write({ id, text, expected, life: life() })
}

export async function set(path: string, id: string, data: object): Promise<void> {
  await storeAt(path).set(id, { cookie, ...data })
}

export async function get(path: string, id: string): Promise<unknown> {
  return storeAt(path).get(id)
}

export async function acquire(path: string, id: string, token: string, ttl: number): Promise<unknown> {
  return storeAt(path)[POWERS].lock!.acquire(id, token, ttl)
}

export async function sweep(path: string): Promise<void> {
  await storeAt(path).sweep()
}

function jam(name: 'rename' | 'unlink'): void {
  fs[name] = () => stop()
}

function stop(): Promise<never> {
  process.send!('stopped')
  return new Promise(() => {
    setInterval(() => undefined, 1000)
  })
}
