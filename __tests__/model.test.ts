import fc from 'fast-check'
import { play, schedules, type Action, type World } from './helpers/model'
import { WORLDS } from './helpers/model-worlds'

/** Plays so many schedules; of one that breaks a promise fast-check tells the seed and the smallest like it. */
async function holds(world: World, numRuns: number, without: readonly Action[] = []): Promise<void> {
  const property = fc.asyncProperty(schedules(without), async (schedule) => {
    expect(await play(world, schedule)).toEqual([])
  })
  await fc.assert(property, { numRuns })
}

const FOREIGN = 'a store that only knows the contract, in one process'

/** Orders that broke a promise once: of each request its actions, and the choices. */
const ORDERS: readonly [what: string, on: string, actions: Action[][], choices: number[]][] = [
  [
    'a rotation that joins another one takes no update back',
    'MemoryStore',
    [['update'], ['rotate a part', 'write'], ['rotate']],
    [1, 0, 0, 4]
  ],
  [
    'the end of a session follows an ID that was moved on twice meanwhile',
    'MemoryStore',
    [['regenerate'], ['rotate with grace', 'rotate'], ['rotate with grace'], ['write']],
    [0, 0, 0, 10, 11, 3, 1, 0, 7, 1, 0, 2, 1, 11, 6, 11]
  ],
  [
    'a new session ends also the one that an update has found moved on',
    'MemoryStore',
    [['rotate a part'], ['update', 'regenerate']],
    [0, 0, 0, 0, 0, 3]
  ],
  [
    'a rotation after an update that came too late carries the session on',
    'MemoryStore',
    [['rotate with grace'], ['update', 'write', 'rotate with grace'], ['update']],
    [11, 0, 11]
  ],
  [
    'a rotation after a merged save takes no update back',
    FOREIGN,
    [['write'], ['update', 'update'], ['save'], ['save', 'write', 'rotate']],
    [0, 0, 0, 1]
  ],
  [
    'an update after a save that wrote what another one had just written begins from it',
    'CookieStore, in one process',
    [
      ['write', 'update'],
      ['update', 'save', 'update']
    ],
    [0]
  ],
  ['a logout waits for the rotation under way', FOREIGN, [['save', 'write'], ['rotate'], ['unset', 'rotate']], []],
  [
    'a logout follows two rotations of one request',
    FOREIGN,
    [['regenerate', 'write'], ['update'], ['rotate', 'rotate with grace']],
    [2]
  ],
  [
    'a rotation finds what another one is just moving on',
    FOREIGN,
    [
      ['rotate', 'rotate a part'],
      ['rotate', 'write']
    ],
    [0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 3, 0, 0, 0, 0, 0, 3, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]
  ]
]

describe.each([...new Set(ORDERS.map(([, on]) => on))])('on %s', (name) => {
  const orders = ORDERS.filter(([, on]) => on === name)

  it.each(orders)('%s', async (_what, _on, actions, choices) => {
    const { world, close } = await WORLDS[name]!()
    const plans = actions.map((of) => ({ process: 0, latest: false, actions: of }))
    expect(await play(world, { plans, choices })).toEqual([])
    await close?.()
  })
})

describe('whatever the order of what two processes do, nothing is lost and nothing that ended comes back', () => {
  it.each(Object.entries(WORLDS))(
    'on %s',
    async (_name, open) => {
      const { world, runs = 100, without, close } = await open()
      try {
        await holds(world, runs, without)
      } finally {
        await close?.()
      }
    },
    // Thousands of plays: by far the longest where others use the processor and the disk.
    900_000
  )
})
