import { MemoryStore } from '../lib/index'
import { POWERS, type Found, type Powers, type Write } from '../lib/store/contract'
import { scorecard, storeSuite } from '../lib/testkit'

type Done = (err?: unknown, value?: unknown) => void

/** A right store of express-session's contract; each of the wrong ones differs from it in one verb. */
class PlainStore {
  readonly texts: Map<string, string>

  constructor(texts = new Map<string, string>()) {
    this.texts = texts
  }

  get(id: string, done: Done): unknown {
    const session = JSON.parse(this.texts.get(id) ?? 'null')
    const expires = session?.cookie?.expires
    return setImmediate(done, null, expires && new Date(expires).valueOf() <= Date.now() ? null : session)
  }

  set(id: string, session: object, done: Done): unknown {
    this.texts.set(id, JSON.stringify(session))
    return setImmediate(done)
  }

  destroy(id: string, done: Done): unknown {
    this.texts.delete(id)
    return setImmediate(done)
  }

  touch(id: string, session: any, done: Done): unknown {
    const { expires } = session.cookie
    const kept = JSON.parse(this.texts.get(id) ?? 'null')
    if (kept !== null) this.texts.set(id, JSON.stringify({ ...kept, cookie: { ...kept.cookie, expires } }))
    return setImmediate(done)
  }
}

// How a store of ours differs from one that only knows the contract.
const ACROSS = [
  'two processes: keeps what parallel requests change',
  'two processes: keeps a logout final, whoever writes late',
  'two processes: loses no update()',
  'two processes: lets one in of those who lock()'
]

/** A MemoryStore of which other processes know, and whose powers differ in one. */
function shared(over: (own: Powers) => Partial<Powers> = () => ({})): () => MemoryStore {
  const first = new MemoryStore()
  const own = first[POWERS] as any
  const other = over(own) as any
  const powers = new Proxy(own, {
    get: (_own, name) => other[name] ?? (typeof own[name] === 'function' ? own[name].bind(own) : own[name])
  })
  return () => {
    const store = new MemoryStore()
    Object.defineProperty(store, POWERS, { value: powers })
    return store
  }
}

const plain = (over: Partial<PlainStore>) => () => Object.assign(new PlainStore(), over)
const { prototype } = PlainStore

/** Each breaks what is named, and nothing else. */
const WRONG: Record<string, [make: () => object, broken: string[]]> = {
  'invents sessions': [
    plain({
      get(this: PlainStore, id: string, done: Done) {
        if (this.texts.has(id)) return prototype.get.call(this, id, done)
        return setImmediate(done, null, { cookie: { path: '/' }, invented: true })
      }
    }),
    [
      'the contract: finds nothing under an ID that it has never seen',
      'the contract: destroys one session, and does nothing where there is none',
      'the contract: touches nothing into being',
      'one process: keeps a logout final, whoever writes late',
      'one process: keeps a logout final, whoever extends late',
      'one process: ends the old ID of a regenerated session',
      'faults: a store that lies leads to a new login, and to nothing else',
      'faults: a read that lags behind ends no session'
    ]
  ],
  'adds to what it kept': [
    plain({
      set(this: PlainStore, id: string, session: object, done: Done) {
        const kept = JSON.parse(this.texts.get(id) ?? '{}')
        return prototype.set.call(this, id, { ...kept, ...JSON.parse(JSON.stringify(session)) }, done)
      }
    }),
    ['the contract: gives back what it was given, and each time the last']
  ],
  'fails to destroy what is absent': [
    plain({
      destroy(this: PlainStore, id: string, done: Done) {
        if (!this.texts.has(id)) return setImmediate(done, new Error('absent'))
        return prototype.destroy.call(this, id, done)
      }
    }),
    ['the contract: destroys one session, and does nothing where there is none']
  ],
  'answers twice': [
    plain({
      set(this: PlainStore, id: string, session: object, done: Done) {
        prototype.set.call(this, id, session, done)
        return setImmediate(done)
      }
    }),
    ['the contract: answers every call, and a callback once']
  ],
  'writes when it is touched': [
    plain({
      touch(this: PlainStore, id: string, session: object, done: Done) {
        if (!this.texts.has(id)) return setImmediate(done)
        return prototype.set.call(this, id, session, done)
      }
    }),
    ['the contract: touches without changing the data']
  ],
  'touches into being': [
    plain({
      touch(this: PlainStore, id: string, session: object, done: Done) {
        if (this.texts.has(id)) return prototype.touch.call(this, id, session, done)
        return prototype.set.call(this, id, session, done)
      }
    }),
    ['the contract: touches nothing into being']
  ],
  'touches nothing': [
    plain({ touch: (_id: string, _session: object, done: Done) => setImmediate(done) }),
    ['the contract: lets a session go when its time is over, unless it was touched']
  ],
  'keeps sessions for ever': [
    plain({
      get(this: PlainStore, id: string, done: Done) {
        return setImmediate(done, null, JSON.parse(this.texts.get(id) ?? 'null'))
      }
    }),
    ['the contract: lets a session go when its time is over, unless it was touched']
  ],
  'keeps what it knows of a session, and no more': [
    plain({
      set(this: PlainStore, id: string, session: any, done: Done) {
        const { silverback_meta: _meta, ...known } = JSON.parse(JSON.stringify(session))
        return prototype.set.call(this, id, known, done)
      }
    }),
    ['faults: an answer that belongs to another ID is refused']
  ],
  'writes over whatever it finds': [
    shared((own) => ({
      write: (write: Write) => {
        const found = own.read(write.id) as Found | null
        return own.write(found === null ? write : { ...write, expected: found.text })
      }
    })),
    [
      'one process: keeps what parallel requests change',
      'two processes: keeps what parallel requests change',
      'two processes: loses no update()',
      'faults: a store that is slow loses nothing'
    ]
  ],
  'brings back what has ended': [
    shared((own) => ({
      write: (write: Write) => own.write(own.read(write.id) === null ? { ...write, expected: null } : write)
    })),
    [
      'one process: keeps a logout final, whoever writes late',
      'two processes: keeps a logout final, whoever writes late'
    ]
  ],
  'extends what has ended': [
    shared((own) => ({
      extend: (id, life, live) => {
        if (own.read(id) !== null) return own.extend(id, life, live)
        const cookie = JSON.stringify({ path: '/' })
        return Boolean(own.write({ id, text: `{"cookie":${cookie},"ended":true}`, expected: null, life }))
      }
    })),
    [
      'the contract: touches nothing into being',
      'one process: keeps a logout final, whoever extends late',
      'two processes: keeps a logout final, whoever extends late'
    ]
  ],
  'locks for everybody': [
    shared(() => ({ lock: { acquire: () => true, renew: () => true, release: () => undefined } })),
    ['two processes: lets one in of those who lock()']
  ]
}

const brokenOf = async (make: () => object, options = {}) =>
  (await scorecard(make, options)).scores
    .filter(({ holds }) => holds === false)
    .map(({ group, promise }) => `${group}: ${promise}`)
    .sort()

describe('scorecard()', () => {
  // Each takes the three seconds in which a session runs out: all at once.
  const found: Record<string, string[]> = {}
  const texts = new Map<string, string>()
  const spoilt = new PlainStore()
  const spoil = (id: string) => void spoilt.texts.set(id, '{"cookie":{},"user":"root"}')
  const others: Record<string, [make: () => object, options?: object]> = {
    right: [plain({})],
    'right, of two processes': [() => new PlainStore(texts)],
    ours: [shared()],
    spoilt: [() => spoilt, { spoil }]
  }

  const told: unknown[] = []

  beforeAll(async () => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation()
    const makers = { ...Object.fromEntries(Object.entries(WRONG).map(([name, [make]]) => [name, [make]])), ...others }
    await Promise.all(
      Object.entries(makers).map(async ([name, given]) => (found[name] = await brokenOf(...(given as [() => object]))))
    )
    told.push(...warned.mock.calls.map(([, options]) => (options as { code?: string }).code))
    warned.mockRestore()
  })

  it('warns of no data that its checks lose on purpose', () => {
    expect(told).not.toContain('SILVERBACK_DROPPED')
  })

  it.each(Object.keys(WRONG))('finds what is wrong with a store that %s, and nothing else', (name) => {
    expect(found[name]).toEqual([...WRONG[name]![1]].sort())
  })

  it('finds nothing wrong with a right one, and what its contract cannot promise across processes', () => {
    expect(found).toMatchObject({ right: [], ours: [], 'right, of two processes': [...ACROSS].sort() })
  })

  it('finds a store that takes a spoilt record for a session', () => {
    expect(found.spoilt).toEqual(['the contract: takes a spoilt record for none'])
  })

  it.each<[string, object]>([
    ['fails', { set: (_id: string, _session: object, done: Done) => done(new Error('no table')) }],
    [
      'throws',
      {
        set() {
          throw new Error('no table')
        }
      }
    ]
  ])('says of a store that %s that it keeps no promise, and why', async (_how, verbs) => {
    const { scores } = await scorecard(plain(verbs))
    expect(new Set(scores.map(({ holds }) => holds))).toEqual(new Set([false]))
    expect(scores[0]!.error).toMatchObject({ message: 'no table' })
  })

  it.each([undefined, {}, new Map()])('refuses what is no store (%p)', async (store) => {
    const refused = { name: 'TypeError', code: 'ERR_SESSION_OPTION' }
    await expect(scorecard(() => store as object)).rejects.toMatchObject(refused)
  })

  it('prints a table', async () => {
    const table = String(await scorecard(() => new MemoryStore()))
    expect(table).toMatch(/^\| +\| promise +\| holds \|\n\| -+ \| -+ \| -+ \|\n/)
    expect(table).toMatch(/\| one process +\| loses no update\(\) +\| yes +\|/)
    expect(table).toMatch(/\| two processes +\| loses no update\(\) +\| - +\|/)
  })
})

describe('storeSuite()', () => {
  describe('with the globals of the runner', () => storeSuite(() => new PlainStore()))

  /** Declares the tests of a store without running them. */
  function declare(make: () => object, options: object = {}) {
    const tests: Record<string, () => Promise<void>> = {}
    const groups: string[] = []
    storeSuite(make, {
      describe: (title, body) => (groups.push(title), body()),
      it: (title, body) => void (tests[title] = body),
      ...options
    })
    return { groups, tests }
  }

  it('declares what it is told to, with the runner that it is given', async () => {
    const absent = 'finds nothing under an ID that it has never seen'
    const { groups, tests } = declare(WRONG['invents sessions']![0], {
      acrossProcesses: true,
      except: ['loses no update()']
    })
    expect(groups).toEqual(['the contract', 'one process', 'two processes', 'faults'])
    expect([absent in tests, 'loses no update()' in tests]).toEqual([true, false])
    await expect(tests[absent]!()).rejects.toMatchObject({ name: 'AssertionError' })
    expect(declare(plain({})).groups).toEqual(['the contract', 'one process', 'faults'])
    expect(() => storeSuite(plain({}), { describe })).toThrow(TypeError)
  })

  it('waits for no store that never answers', async () => {
    const { tests } = declare(plain({ touch: (_id: string, _session: object, _done: Done) => undefined }))
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'performance', 'queueMicrotask'] })
    const outcome = tests['answers every call, and a callback once']!().catch((err) => err.message)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    await jest.advanceTimersByTimeAsync(15_000)
    jest.useRealTimers()
    expect(await outcome).toBe('touch() was never answered')
  })
})
