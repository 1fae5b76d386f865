import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as realTimeout } from 'node:timers'
import { failureOf, LOADS_MAX, CallDeadlines } from '../../../lib/store/deadlines'
import { deferred } from '../../helpers/app'

const TIMEOUT = 1000
const NEVER = new Promise<never>(() => undefined)
const TOO_LATE = { code: 'ERR_SESSION_STORE_TIMEOUT', kind: 'store' }

let deadlines: CallDeadlines

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] })
  deadlines = new CallDeadlines(TIMEOUT)
})

afterEach(() => jest.useRealTimers())

/** Ends without a rejection that is not heard. */
const begin = (answer: Promise<unknown>, verb = 'get', key?: string): Promise<unknown> =>
  deadlines.until(answer, verb, key).catch((err: unknown) => err)

/** Time, and the turn on which is refused what is late. */
async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms)
  await new Promise(setImmediate)
}

describe('a call of a store', () => {
  const down = new Error('down')

  it.each<[string, () => Promise<unknown>, unknown]>([
    ['an answer', () => Promise.resolve('text'), 'text'],
    ['the answer that there is nothing', () => Promise.resolve(null), null],
    ['the error of the store', () => Promise.reject(down), down],
    ['a failure without an error', () => Promise.reject(), { code: 'ERR_SESSION_STORE' }],
    ['a failure that says 0', () => Promise.reject(0), { code: 'ERR_SESSION_STORE' }]
  ])('ends with %s', async (_what, answer, expected) => {
    const ended = await begin(answer())
    if (typeof expected === 'object' && expected !== null) expect(ended).toMatchObject(expected)
    else expect(ended).toBe(expected)
  })

  it('ends at its deadline, with an error that names verb and time', async () => {
    let ended: any
    void begin(NEVER, 'destroy').then((err) => (ended = err))
    await pass(TIMEOUT - 1)
    expect(ended).toBeUndefined()
    await pass(1)
    expect(ended).toMatchObject(TOO_LATE)
    expect(ended.message).toMatch(/did not answer destroy\(\) within 1000 ms/)
  })

  it('has a deadline of its own beside others, though one timer serves all', async () => {
    const ended: string[] = []
    for (const name of ['a', 'b', 'c']) {
      void begin(NEVER, 'get').then(() => ended.push(name))
      expect(jest.getTimerCount()).toBe(1)
      await pass(300)
    }
    await pass(100)
    expect(ended).toEqual(['a'])
    await pass(279)
    expect(ended).toEqual(['a'])
    await pass(1)
    expect(ended).toEqual(['a', 'b'])
    await pass(300)
    expect(ended).toEqual(['a', 'b', 'c'])
    expect(jest.getTimerCount()).toBe(0)
  })

  it('goes by no clock that somebody may set', async () => {
    const ended = begin(NEVER)
    jest.setSystemTime(Date.now() - 3_600_000)
    await pass(TIMEOUT)
    expect(await ended).toMatchObject(TOO_LATE)
  })

  it('lets an answer after the deadline go unheard', async () => {
    for (const late of ['resolve', 'reject'] as const) {
      const answer = deferred<any>()
      const ended = begin(answer.promise)
      await pass(TIMEOUT)
      answer.resolve(late === 'resolve' ? 'late' : Promise.reject(new Error('late')))
      expect(await ended).toMatchObject(TOO_LATE)
    }
  })

  it('ends with an answer that came while the process stood still, and lay unread at the deadline', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [[peer]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
    const ended = [begin(once(client, 'data').then(String)), begin(NEVER)]
    // Where the event loop looks at its timers, before it looks at its sockets.
    await new Promise((resolve) => realTimeout(resolve, 1))
    peer.write('text')
    jest.advanceTimersByTime(TIMEOUT)
    const answers = await Promise.all(ended)
    client.destroy()
    server.close()
    expect(answers).toEqual(['text', expect.objectContaining(TOO_LATE)])
  })

  it('keeps no process alive once nothing is waited for', async () => {
    const unref = jest.fn()
    jest.spyOn(global, 'setTimeout').mockImplementation(() => ({ unref, ref: () => undefined }) as never)
    await deadlines.until(Promise.resolve(), 'get')
    expect(unref).toHaveBeenCalled()
    jest.restoreAllMocks()
  })
})

describe('loads that wait', () => {
  const keyOf = (n: number) => `session ${n}`
  const load = (count: number, from = 0) =>
    Array.from({ length: count }, (_, i) => begin(NEVER, 'get', keyOf(from + i)))
  const admits = (key: string) => {
    try {
      deadlines.admit(key)
      return true
    } catch (err) {
      expect(err).toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
      return false
    }
  }

  it.each([
    // Waiting now, left unanswered before, and who comes: one that waits already, or another one.
    { now: 0, before: 0, another: true },
    { now: LOADS_MAX - 1, before: 0, another: true },
    { now: LOADS_MAX, before: 0, another: false },
    { now: 0, before: LOADS_MAX, another: true },
    { now: 1, before: LOADS_MAX - 2, another: true },
    { now: 1, before: LOADS_MAX - 1, another: false },
    { now: 1, before: LOADS_MAX, another: false }
  ])('admit another beside $now, after $before without an answer: $another', async ({ now, before, another }) => {
    void load(before)
    await pass(TIMEOUT)
    void load(now, LOADS_MAX)
    expect(admits(keyOf(2 * LOADS_MAX))).toBe(another)
    if (now > 0) expect(admits(keyOf(LOADS_MAX))).toBe(true)
  })

  it.each([0, 1])('have room again once one of them is answered, where %d of the others wait twice', async (twice) => {
    const answer = deferred<null>()
    const answered = begin(answer.promise, 'get', keyOf(-1))
    void load(LOADS_MAX - 1)
    void load(twice)
    expect(admits('another')).toBe(false)
    answer.resolve(null)
    await answered
    expect(admits('another')).toBe(true)
  })

  it('have room again when one answer shows that the store goes on', async () => {
    void load(LOADS_MAX)
    await pass(TIMEOUT)
    const answer = deferred<null>()
    const answered = begin(answer.promise, 'get', keyOf(LOADS_MAX))
    expect(admits('another')).toBe(false)
    answer.resolve(null)
    await answered
    void load(1)
    expect(admits('another')).toBe(true)
  })

  it('count a session once, however many requests wait for it, until the last is answered', async () => {
    const answers = [deferred<null>(), deferred<null>()]
    const answered = answers.map(({ promise }) => begin(promise, 'get', 'same'))
    void load(LOADS_MAX - 1)
    expect(admits('another')).toBe(false)
    answers[0]!.resolve(null)
    await answered[0]
    expect([admits('another'), admits('same')]).toEqual([false, true])
    answers[1]!.resolve(null)
    await answered[1]
    expect(admits('another')).toBe(true)
  })

  it('are not held up by calls that are no loads', async () => {
    for (let i = 0; i < LOADS_MAX; i++) void begin(NEVER, 'set')
    expect(admits('another')).toBe(true)
    await pass(TIMEOUT)
    expect(admits('another')).toBe(true)
  })
})

it.each<[unknown, boolean]>([
  [new Error('down'), true],
  ['down', true],
  [undefined, false],
  [null, false],
  [0, false],
  ['', false]
])('takes the failure %p for an error, as given: %s', (err, asGiven) => {
  const failure = failureOf(err, 'set')
  if (asGiven) expect(failure).toBe(err)
  else expect(failure).toMatchObject({ code: 'ERR_SESSION_STORE', message: expect.stringMatching(/failed in set\(\)/) })
})
