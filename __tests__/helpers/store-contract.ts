import { POWERS, type Life, type Powers } from '../../lib/store/contract'
import { Cookie } from '../../lib/cookie/cookie'
import { callStore } from '../../lib/store/call'
import { encodeRecord } from '../../lib/record/record'
import type { OpenStore } from './npm-stores'
import { HOUR } from './times'

let count = 0

/** An ID as the middleware makes them, never the same again. */
function newId(): string {
  return `contract${String(++count).padStart(24, '-')}`
}

/** Calls a verb in whatever style the store has. */
export async function ask(store: any, verb: string, ...args: unknown[]): Promise<any> {
  return callStore(store, store[verb], args)
}

/** What only our own stores promise. */
export function hasPowers(opened: () => OpenStore): void {
  const powers = () => opened().store[POWERS] as Powers & Required<Pick<Powers, 'list' | 'lock'>>
  const record = { cookie: { originalMaxAge: null, expires: null, path: '/' } }

  it('answers by itself or by promise where it gets no callback, and nothing where it gets one', async () => {
    const { store } = opened()
    const id = newId()
    expect((await store.set(id, record)) ?? null).toBeNull()
    expect(await store.get(id)).toEqual(record)
    expect((await store.touch(id, record)) ?? null).toBeNull()
    expect(store.get(id, () => undefined)).toBeUndefined()
    expect((await store.destroy(id)) ?? null).toBeNull()
    expect(await store.get(id)).toBeNull()
  })

  it('calls back on a later turn', async () => {
    const { store } = opened()
    const id = newId()
    for (const [verb, ...args] of [
      ['set', id, record],
      ['touch', id, record],
      ['get', id],
      ...(enumerates(store) ? [['all'], ['ids'], ['length']] : []),
      ['destroy', id]
    ]) {
      let turn = 'this'
      const seen = new Promise((resolve) => store[verb as string](...args, () => resolve(turn)))
      turn = 'a later'
      expect([verb, await seen]).toEqual([verb, 'a later'])
    }
  })

  // What cookie-parser gives for a cookie that is forged or absent is handed to the store as it is by socket servers.
  it.each([undefined, null, false, 7, {}])('knows no session under %p, and says so without an error', async (id) => {
    const { store } = opened()
    expect((await ask(store, 'get', id)) ?? null).toBeNull()
    expect((await ask(store, 'touch', id, record)) ?? null).toBeNull()
    expect((await ask(store, 'destroy', id)) ?? null).toBeNull()
    expect(await store.get(id)).toBeNull()
  })

  it('hands what is no JSON back to the caller', async () => {
    const circular: Record<string, unknown> = { ...record }
    circular.self = circular
    await expect(async () => opened().store.set(newId(), circular)).rejects.toThrow(TypeError)
    await expect(new Promise((_, reject) => opened().store.set(newId(), circular, reject))).rejects.toThrow(TypeError)
  })

  it('creates and replaces for one of many who try at once', async () => {
    const id = newId()
    const created = await race((n) => powers().write({ id, text: textOf({ n }), expected: null, life: life() }))
    const { text } = (await powers().read(id))!
    expect(created.filter((answer) => answer !== true)).toEqual(new Array(19).fill(expect.objectContaining({ text })))
    const replaced = await race((n) => powers().write({ id, text: textOf({ m: n }), expected: text, life: life() }))
    expect(replaced.filter((answer) => answer === true)).toHaveLength(1)
    const winner = replaced.indexOf(true)
    expect((await powers().read(id))!.text).toBe(textOf({ m: winner }))
  })

  it('tells whether there was something to remove or to extend', async () => {
    const id = newId()
    await powers().write({ id, text: textOf({}), expected: null, life: life() })
    expect([await powers().extend(id, life()), await powers().remove(id)]).toEqual([true, true])
    expect([await powers().extend(id, life()), await powers().remove(id)]).toEqual([false, false])
  })

  it('removes only what is still what was read, and otherwise tells what there is', async () => {
    const id = newId()
    await powers().write({ id, text: textOf({ n: 1 }), expected: null, life: life() })
    const before = (await powers().read(id))!.text
    await powers().write({ id, text: textOf({ n: 2 }), expected: before, life: life() })
    const { text } = (await powers().read(id))!
    expect(await powers().remove(id, undefined, before)).toMatchObject({ text })
    expect((await powers().read(id))!.text).toBe(text)
    expect(await powers().remove(id, undefined, text)).toBe(true)
    expect([await powers().read(id), await powers().remove(id, undefined, text)]).toEqual([null, false])
  })

  it('removes for one of many who have read the same', async () => {
    const id = newId()
    await powers().write({ id, text: textOf({ n: 0 }), expected: null, life: life() })
    const { text } = (await powers().read(id))!
    const answers = await race((n) =>
      n % 2 === 0
        ? powers().remove(id, undefined, text)
        : powers().write({ id, text: textOf({ n }), expected: text, life: life() })
    )
    expect(answers.filter((answer) => answer === true)).toHaveLength(1)
  })

  it('lists the sessions of a user, and no others', async () => {
    const user = newId()
    const ids = [newId(), newId(), newId()]
    const listed = async (of: string) => (await powers().list(of)).map(({ id }) => id).sort()
    for (const id of ids)
      await powers().write({
        id,
        text: textOf({}, Date.now(), user),
        expected: null,
        life: life(),
        user: { from: undefined, to: user }
      })
    expect(await listed(user)).toEqual(ids)
    const { text } = (await powers().read(ids[0]!))!
    const other = newId()
    await powers().write({
      id: ids[0]!,
      text: textOf({}, Date.now(), other),
      expected: text,
      life: life(),
      user: { from: user, to: other }
    })
    await powers().remove(ids[1]!, user)
    expect([await listed(user), await listed(other), await listed(newId())]).toEqual([[ids[2]], [ids[0]], []])
  })

  it('carries out what nobody waits for in the order of the calls', async () => {
    const { store } = opened()
    const user = newId()
    const last: [id: string, n: number | undefined][] = []
    for (const owner of [undefined, user]) {
      const kept = (n: number) => JSON.parse(textOf({ n }, Date.now(), owner))
      const inOrder = async (n: number | undefined, calls: (id: string) => unknown[]) => {
        const ids = Array.from({ length: 10 }, newId)
        last.push(...ids.map((id): [string, number | undefined] => [id, n]))
        await Promise.all(ids.flatMap(calls))
      }
      await inOrder(undefined, (id) => [store.set(id, kept(1)), store.destroy(id)])
      await inOrder(2, (id) => [store.set(id, kept(1)), store.touch(id, kept(1)), store.set(id, kept(2))])
      await inOrder(3, (id) => [store.set(id, kept(1)), store.destroy(id), store.set(id, kept(3))])
      const seen: unknown[] = []
      const see = async (id: string) => seen.push((await store.get(id))?.n)
      await inOrder(2, (id) => [store.set(id, kept(1)), store.set(id, kept(2)), see(id)])
      await inOrder(undefined, (id) => [store.set(id, kept(1)), store.destroy(id), see(id)])
      expect(seen).toEqual([...Array(10).fill(2), ...Array(10).fill(undefined)])
    }
    expect(await Promise.all(last.map(async ([id]) => [id, (await store.get(id))?.n]))).toEqual(last)
    const live = last.slice(50).filter(([, n]) => n !== undefined)
    expect((await powers().list(user)).map(({ id }) => id).sort()).toEqual(live.map(([id]) => id))
  })

  it('locks for one of many, who alone may renew or release', async () => {
    const { lock } = powers()
    const id = newId()
    const acquired = await race((n) => lock.acquire(id, `holder ${n}`, HOUR))
    const winner = acquired.indexOf(true)
    expect(acquired.filter(Boolean)).toHaveLength(1)
    expect(await lock.acquire(newId(), 'another', HOUR)).toBe(true)
    await lock.release(id, 'nobody')
    expect(await lock.renew(id, 'nobody', HOUR)).toBe(false)
    expect(await lock.renew(id, `holder ${winner}`, HOUR)).toBe(true)
    expect(await lock.acquire(id, 'next', HOUR)).toBe(false)
    await lock.release(id, `holder ${winner}`)
    expect(await lock.acquire(id, 'next', HOUR)).toBe(true)
  })

  it('counts, lists and clears the same sessions', async () => {
    const { store } = opened()
    if (!enumerates(store)) return expect([store.all, store.ids, store.length, store.clear]).toEqual(NOTHING)
    await store.clear()
    const early = newId()
    const calls = () => [store.set(early, record), store.destroy(early), store.set(early, record)]
    expect((await Promise.all([...calls(), store.length()])).pop()).toBe(1)
    await Promise.all([...calls(), store.clear()])
    const late = newId()
    const [, , , , gone, counted] = await Promise.all([
      store.set(early, record),
      store.set(early, record),
      store.clear(),
      store.set(late, record),
      store.get(early),
      store.length()
    ])
    expect([gone, counted, await store.ids()]).toEqual([null, 1, [late]])
    await store.clear()
    const ids = Array.from({ length: 30 }, newId)
    for (const id of ids) await store.set(id, { ...record, own: id })
    await store.destroy(ids.pop())
    const seen = async () => {
      const all = await store.all()
      const pairs = Array.isArray(all)
        ? all.map((each: any) => [each.id, each.own])
        : Object.entries(all).map(([id, each]: any) => [id, each.own])
      return [await store.length(), (await store.ids()).sort(), pairs.sort()]
    }
    expect(await seen()).toEqual([29, ids, ids.map((id) => [id, id])])
    await store.clear()
    expect(await seen()).toEqual([0, [], []])
  })
}

const NOTHING = [undefined, undefined, undefined, undefined]

// memcached tells nobody what it keeps; all our other stores do.
function enumerates(store: any): boolean {
  return store.constructor.name !== 'MemcachedStore'
}

function race<T>(attempt: (n: number) => T): Promise<Awaited<T>[]> {
  return Promise.all(Array.from({ length: 20 }, (_, n) => attempt(n)))
}

// Made once: records are compared as text.
const MADE_AT = Date.now()
const COOKIE = JSON.stringify(new Cookie({ maxAge: HOUR }))

function textOf(data: object, usedAt = MADE_AT, user?: string): string {
  return encodeRecord(COOKIE, { u: usedAt, c: usedAt, ...(user !== undefined && { i: user }) }, JSON.stringify(data))
}

function life(): Life {
  return { usedAt: Date.now(), expiresAt: Date.now() + HOUR }
}
