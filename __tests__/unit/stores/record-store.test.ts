import { nativeVerbs, POWERS, type Life, type Write } from '../../../lib/store/contract'
import { KeyedStore, RecordStore, type ListedPowers } from '../../../lib/stores/record-store'
import { META } from '../../../lib/record/record'
import { Clock } from '../../helpers/clock'

const MINUTE = 60_000

interface Kept {
  id: string
  text: string
  user: string | undefined
  usedAt: number
  expiresAt: number | null
}

/** The powers of a store that answers at once, or one turn later. */
class Shelf {
  readonly remote = false
  readonly ttl: number | null = 5 * MINUTE
  readonly kept = new Map<string, Kept>()
  readonly write = (write: Write) => this.later(() => (this.keep(write.id, write.text, write.life, undefined), true))
  readonly read = (id: string) => this.later(() => this.kept.get(id) ?? null)
  readonly put = (id: string, text: string, life: Life, user: string | undefined) =>
    this.later(() => this.keep(id, text, life, user))
  readonly extend = (id: string, { cookieText, ...life }: Life) =>
    this.later(() => {
      const kept = this.kept.get(id)
      if (kept === undefined) return false
      Object.assign(kept, life)
      if (cookieText !== undefined)
        kept.text = JSON.stringify({ ...JSON.parse(kept.text), cookie: JSON.parse(cookieText) })
      return true
    })
  readonly remove = (id: string) => this.later(() => this.kept.delete(id))
  readonly each = (visit: (kept: Kept) => void) => this.later(() => this.kept.forEach(visit))
  readonly clear = () => this.later(() => this.kept.clear())

  constructor(readonly sync: boolean) {}

  keep(id: string, text: string, life: Life, user: string | undefined): void {
    this.kept.set(id, { id, text, user, ...life })
  }

  later(work: () => any): any {
    return this.sync ? work() : Promise.resolve().then(work)
  }
}

class Listing extends RecordStore {
  declare readonly [POWERS]: ListedPowers
  constructor(readonly shelf: Shelf) {
    super(shelf as unknown as ListedPowers)
  }
}

class Keyed extends KeyedStore {
  declare readonly [POWERS]: ListedPowers
}

let clock: Clock

beforeEach(() => {
  clock = new Clock()
})

afterEach(() => jest.restoreAllMocks())

const record = (data: object, expires: number | null = null) => ({
  cookie: { expires: expires === null ? null : new Date(expires) },
  ...data
})

describe.each([
  ['synchronous', true],
  ['asynchronous', false]
])('the verbs of a store with %s powers', (_, sync) => {
  let store: Listing
  let shelf: Shelf

  beforeEach(() => {
    shelf = new Shelf(sync)
    store = new Listing(shelf)
  })

  it('answer directly or by promise, as the powers do, and to a callback on a later turn', async () => {
    for (const [verb, ...args] of [
      ['set', 'a', record({ n: 1 })],
      ['get', 'a'],
      ['touch', 'a', record({})],
      ['all'],
      ['ids'],
      ['length'],
      ['destroy', 'a'],
      ['clear']
    ]) {
      const call = (store as any)[verb as string].bind(store, ...args) as (callback?: unknown) => any
      const answer = call()
      expect([verb, answer instanceof Promise]).toEqual([verb, !sync])
      if (verb === 'get') expect(await answer).toEqual({ cookie: { expires: null }, n: 1 })
      let turn = 'this'
      const seen = new Promise((resolve) => {
        expect(call(() => resolve(turn))).toBeUndefined()
      })
      turn = 'a later'
      expect([verb, await seen]).toEqual([verb, 'a later'])
    }
  })

  it('give what fails in them to the caller', async () => {
    const circular: any = record({})
    circular.self = circular
    if (sync) expect(() => store.set('a', circular)).toThrow(TypeError)
    else await expect(store.set('a', circular)).rejects.toThrow(TypeError)
    await expect(
      new Promise((resolve, reject) => void store.set('a', circular, (err) => (err ? reject(err) : resolve(1))))
    ).rejects.toThrow(TypeError)
  })

  it('take the life of a session from its cookie, else from the store, and its user from our own metadata', async () => {
    await store.set('a', record({}, clock.now + MINUTE))
    await store.set('b', record({ [META]: { u: 1, c: 1, i: 'ann' } }))
    await store.set('over', record({}))
    await store.set('over', record({}, clock.now))
    expect([...shelf.kept.values()]).toMatchObject([
      { id: 'a', usedAt: clock.now, expiresAt: clock.now + MINUTE, user: undefined },
      { id: 'b', usedAt: clock.now, expiresAt: clock.now + 5 * MINUTE, user: 'ann' }
    ])
  })

  it('replace the cookie alone when they touch, and prolong our own sessions by a cookie with an end only', async () => {
    const ours = { [META]: { u: 1, c: 1 }, n: 1 }
    await store.set('a', record(ours, clock.now + MINUTE))
    clock.forward(1)
    await store.touch('a', record({ n: 2 }))
    expect(await store.get('a')).toEqual({ cookie: { expires: null }, [META]: { u: clock.now, c: 1 }, n: 1 })
    expect(shelf.kept.get('a')!.expiresAt).toBe(clock.now - 1 + MINUTE)
    await store.touch('a', record({}, clock.now + 2 * MINUTE))
    expect(shelf.kept.get('a')!.expiresAt).toBe(clock.now + 2 * MINUTE)
    await store.touch('none', record({}))
    expect(await store.ids()).toEqual(['a'])
  })

  it('find no session in what is no JSON of an object', async () => {
    for (const text of ['', '{"cookie":', '42', 'null', '[]'])
      shelf.keep(text, text, { usedAt: 1, expiresAt: null }, undefined)
    for (const id of shelf.kept.keys()) expect(await store.get(id)).toBeNull()
    await store.set('__proto__', record({ n: 1 }))
    const all = await store.all()
    expect([Object.getPrototypeOf(all), Object.keys(all), await store.length()]).toEqual([null, ['__proto__'], 6])
  })
})

it('offers to enumerate only where the store can', () => {
  for (const verb of ['all', 'ids', 'length', 'clear'] as const) {
    expect([verb in Listing.prototype, verb in Keyed.prototype]).toEqual([true, false])
  }
})

it('lets replaced verbs be told from its own', () => {
  const store = new Listing(new Shelf(true))
  expect(nativeVerbs(store).get).toBe(store.get)
  store.get = jest.fn() as never
  expect(nativeVerbs(store).get).not.toBe(store.get)
  class Overridden extends Listing {
    override set(): any {}
  }
  const other = new Overridden(new Shelf(true))
  expect(nativeVerbs(other).set).not.toBe(other.set)
})
