import { cookieOf } from './app'
import type { Ground, Pair } from './race'

/** What many requests on one session at the same time do not lose, whichever of two applications they reach. */
export function describeConcurrentRequests(open: () => Promise<Ground>, updates: number): void {
  let ground: Ground
  let pair: Pair
  let cookie: string

  /** Asks both applications in turn, all at once. */
  const askAll = async (count: number, path: (i: number) => string) => {
    const { here, there } = pair
    const answers = await Promise.all(
      Array.from({ length: count }, (_, i) => (i % 2 ? here : there).get(path(i), cookie))
    )
    expect(answers.filter(({ status }) => status !== 200).map(({ body }) => body)).toEqual([])
  }

  const data = async () => (await pair.there.get('/read', cookie)).body.data

  beforeAll(async () => {
    ground = await open()
    pair = await ground.start()
  })

  afterAll(() => ground?.close())

  beforeEach(async () => {
    cookie = cookieOf(await pair.here.get('/set?user=ann'))!
  })

  it('keep all of 50 different keys', async () => {
    await askAll(50, (i) => `/set?key${i}=${i}`)
    const expected = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`key${i}`, String(i)]))
    expect(await data()).toEqual({ user: 'ann', ...expected })
  })

  it('keep all of 50 different keys of one object in an object', async () => {
    await askAll(50, (i) => `/nested/key${i}`)
    const expected = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`key${i}`, true]))
    expect(await data()).toEqual({ user: 'ann', a: { b: expected } })
  })

  it(`add one ${updates} times by update(), which gives exactly ${updates}`, async () => {
    await askAll(updates, () => '/count')
    expect(await data()).toEqual({ user: 'ann', n: updates })
  })

  it('lose nothing by update() while others write, nor do the others', async () => {
    await askAll(200, (i) => (i % 4 < 2 ? '/count' : `/set?key${i}=${i}`))
    const { n, user: _user, ...keys } = await data()
    expect([n, Object.keys(keys).length]).toEqual([100, 100])
  })
}
