import { GorillaStore } from '../lib/gorilla'
import { decodeRecord, encodeRecord } from '../lib/record/record'
import { decodeGob } from '../lib/gorilla/codec/decode'
import type { GoNode } from '../lib/gorilla/codec/nodes'
import { VALUES } from '../lib/gorilla/codec/types'
import { openBytes, checkPair } from '../lib/gorilla/securecookie'
import { goKeys, GoPeer } from './helpers/go'

const NAME = 'session-name'
const hash = Buffer.alloc(32, 'h')
const keys = goKeys([hash])

let go: GoPeer
beforeAll(() => {
  go = new GoPeer()
})
afterAll(() => go?.stop())

const storeWith = (types = {}) => new GorillaStore({ keyPairs: [[hash]], types })
const make = async (request: object): Promise<string> => {
  const { cookie, error } = await go.ask({ name: NAME, keys, ...request })
  expect(error).toBeUndefined()
  return cookie!
}
const differs = async (cookie: string, after: string) => {
  const { differs, error } = await go.ask({ op: 'differ', name: NAME, keys, cookie, after })
  expect(error).toBeUndefined()
  return differs ?? []
}
const opened = (cookie: string, store = storeWith()) => {
  const found = store.open(cookie, NAME)
  expect(found).toBeInstanceOf(Object)
  const { text } = found as { text: string }
  const { meta, data } = decodeRecord(text)!
  return { text, meta, data }
}
// What the engine writes: another cookie and metadata, of which it knows its own.
const written = (cookie: string, change: object, store = storeWith()) => {
  const { meta, data } = opened(cookie, store)
  const text = encodeRecord(
    '{"originalMaxAge":null,"expires":null,"path":"/"}',
    { ...meta!, u: Date.now() },
    json(data, change)
  )
  return storeWith().seal(text, NAME)
}
const json = (data: object, change: object) => JSON.stringify({ ...data, ...change })

it('gives every kind of value back to Go as Go itself would read it again', async () => {
  const { kinds } = await go.ask({ op: 'kinds' })
  expect(kinds!.length).toBeGreaterThan(88)
  for (const index of kinds!.keys()) {
    const before = await make({ op: 'kind', index })
    const { data } = opened(before)
    expect(data.user).toBe('ann')
    const after = written(written(before, { seen: 1 }), { seen: undefined })
    expect([kinds![index], await differs(before, after)]).toEqual([kinds![index], []])
  }
})

it('loses nothing of generated sessions, with values in them that it does not know', async () => {
  let carried = 0
  for (let seed = 1; seed <= 1000; seed += 50) {
    const seeds = Array.from({ length: 50 }, (_, at) => seed + at)
    await Promise.all(
      seeds.map(async (seed) => {
        const unknown = seed % 3 === 0
        const { cookie, error } = await go.ask({ op: 'random', name: NAME, keys, seed, unknown })
        if (error?.includes('too long')) return
        expect(error).toBeUndefined()
        if (opened(cookie!).meta!.t?.includes('"o":')) carried++
        expect(await differs(cookie!, written(cookie!, {}))).toEqual([])
      })
    )
  }
  expect(carried).toBeGreaterThan(300)
})

it('carries bytes and definitions of types as they are', async () => {
  const { kinds } = await go.ask({ op: 'kinds' })
  let carried = 0
  for (const index of kinds!.keys()) {
    const before = await make({ op: 'kind', index })
    const [was, is] = [before, written(before, { seen: true })].map(opaqueIn)
    expect(is).toEqual(was)
    carried += was!.length
  }
  expect(carried).toBeGreaterThan(40)
})

// What a cookie carries in the place of a value or a key, with the definitions that it needs.
function opaqueIn(cookie: string): unknown[] {
  const { bytes } = openBytes([checkPair({ hashKey: hash })], NAME, cookie) as { bytes: Buffer }
  const { node, definitions } = decodeGob(bytes, VALUES)
  return (node.value as [GoNode, GoNode][]).flat().flatMap(({ type, raw }) => {
    if (type.kind !== 'opaque') return []
    const { name, id, bytes, types } = raw!
    return [[name, id, bytes.toString('hex'), types.map((type) => definitions.get(type)!.raw.toString('hex'))]]
  })
}

it('lets no declared type change or refuse what Go has put there, until somebody changes it', async () => {
  const { kinds } = await go.ask({ op: 'kinds' })
  for (const type of ['int64', 'float64', 'string', '[]byte', 'time.Time', '[]string', 'main.Level', 'main.Person']) {
    const store = storeWith({ v: type })
    for (const [index, name] of kinds!.entries()) {
      const before = await make({ op: 'kind', index })
      const { data, meta } = opened(before, store)
      const after = store.seal(encodeRecord('{}', meta, json(data, { seen: 1 })), NAME)
      const [seen, ...others] = (await differs(before, after)).reverse()
      expect(seen).toBe('string seen is new')
      // What a value made here would be becomes what is declared.
      for (const other of others) expect([name, other]).toEqual([name, expect.stringMatching(NATURAL)])
    }
  }
  const text = await make({ op: 'kind', index: await kindOf(/^1 string$/) })
  const { meta } = opened(text, storeWith({ v: 'int64' }))
  const seal = () => storeWith({ v: 'int64' }).seal(encodeRecord('{}', meta, '{"v":"x"}'), NAME)
  expect(seal).toThrow(expect.objectContaining({ code: 'ERR_SESSION_UNSERIALIZABLE' }))
})

const NATURAL = /^string v was (?:int|string|float64|\[\]interface \{\}) /

const kindOf = async (end: RegExp) => (await go.ask({ op: 'kinds' })).kinds!.findIndex((name) => end.test(name))

it('shows named basic types, and lets them change under their name', async () => {
  const before = await make({ op: 'kind', index: await kindOf(/ time\.Duration$/) })
  expect(opened(before).data.v).toBe(60_000_000_000)
  expect(await differs(before, written(before, { v: 1 }))).toEqual([
    'string v was time.Duration 1m0s, is time.Duration 1ns'
  ])
})

it('shows structs as objects where asked to, and changes them field by field', async () => {
  const store = storeWith({ v: 'main.Person' })
  const before = await make({ op: 'kind', index: await kindOf(/ \*main\.Person$/) })
  const { data } = opened(before, store)
  expect(data).toEqual({ user: 'ann', v: { Name: 'Ann', Age: 30, Tags: ['x', 'y'] } })
  const write = (v: object) => {
    const { meta } = opened(before, store)
    return store.seal(encodeRecord('{}', meta, JSON.stringify({ ...data, v })), NAME)
  }
  expect(await differs(before, write(data.v as object))).toEqual([])
  const after = write({ Name: 'Bo', Age: 0, Tags: ['z'] })
  expect(opened(after, store).data.v).toEqual({ Name: 'Bo', Age: 0, Tags: ['z'] })
  expect((await differs(before, after)).join()).toMatch(/^string v was main\.Person/)
  for (const wrong of [{ Name: 5 }, { Nam: 'x' }, { Age: 1.5 }, { Tags: 'x' }]) {
    expect(() => write(wrong)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_UNSERIALIZABLE' }))
  }
})

it('shows all structs that have a counterpart, and gives them back unchanged', async () => {
  const { kinds } = await go.ask({ op: 'kinds' })
  for (const type of [
    'main.Nested',
    'main.Tree',
    '[]main.Person',
    'map[string]main.Person',
    'main.Roles',
    'main.Holder'
  ]) {
    const store = storeWith({ v: type })
    const index = kinds!.findIndex((name) => name.replace(/^\d+ \*?/, '') === type)
    const before = await make({ op: 'kind', index })
    const { text, data } = opened(before, store)
    if (type !== 'main.Holder') expect(data.v).toEqual(expect.any(Object))
    expect(await differs(before, store.seal(text, NAME))).toEqual([])
  }
})

it('keeps what is carried in lists and maps through changes around it', async () => {
  const before = await make({ op: 'random', seed: 3, unknown: true })
  const { data } = opened(before)
  expect(data._flash).toEqual(['saved'])
  const { _flash, ...read } = data
  const { meta } = opened(before)
  const after = storeWith().seal(encodeRecord('{}', meta, JSON.stringify(read)), NAME)
  expect(await differs(before, after)).toEqual([
    'string _flash was []interface {} [saved {Name:Bo Age:1 Tags:[]}], is []interface {} [{Name:Bo Age:1 Tags:[]}]'
  ])
})

it('counts what is carried among the keys that make a cookie too large', async () => {
  const before = await make({ op: 'kind', index: await kindOf(/ main\.Person$/) })
  expect(() => written(before, { big: 'x'.repeat(4000) })).toThrow(
    /Largest keys: "big" \(\d+ bytes\), "v" \(\d\d bytes\), "user" \(12 bytes\)/
  )
})

it('lets the application take the place of a value that is carried', async () => {
  const before = await make({ op: 'kind', index: await kindOf(/ main\.Person$/) })
  expect(opened(before).data).toEqual({ user: 'ann' })
  expect(opened(written(before, { v: null })).data).toEqual({ user: 'ann', v: null })
  expect(opened(written(before, { v: 'x' })).data).toEqual({ user: 'ann', v: 'x' })
})
