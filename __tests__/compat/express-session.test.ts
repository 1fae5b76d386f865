import { isDeepStrictEqual } from 'node:util'
import { observe, type Observation } from '../helpers/observe'
import { SIDES, Wire } from '../helpers/two-sides'
import { DIFFERENCES } from './differences'
import { scenarios, type Scenario } from './scenarios'

const NOW = 1_750_000_000_000
const used = new Set<string>()
let wire: Wire

beforeAll(async () => {
  // One clock for both sides, standing still: then every date and every byte must be equal.
  jest.spyOn(Date, 'now').mockReturnValue(NOW)
  wire = await new Wire().open()
})

afterAll(() => wire.close())

/** What is permitted: what the reference shows, with every difference applied. */
async function permitted(scenario: Scenario): Promise<Observation> {
  let like = scenario
  for (const [name, difference] of Object.entries(DIFFERENCES)) {
    const before = like
    like = difference.like?.(like) ?? like
    if (like !== before) used.add(name)
  }
  let seen = await observe(wire, SIDES.reference, like, NOW)
  for (const [name, difference] of Object.entries(DIFFERENCES)) {
    const before = seen
    seen = difference.expected?.(seen, scenario) ?? seen
    if (!used.has(name) && !isDeepStrictEqual(seen, before)) used.add(name)
  }
  return seen
}

const all = scenarios()
const actions = [...new Set(all.map(({ action }) => action))]

describe.each(actions)('an application that does "%s"', (action) => {
  it('cannot tell silverback from express-session, whatever the options, cookies and connections', async () => {
    for (const scenario of all.filter((one) => one.action === action)) {
      const expected = await permitted(scenario)
      const ours = await observe(wire, SIDES.subject, scenario, NOW)
      expect({ scenario: scenario.title, ...ours }).toEqual({ scenario: scenario.title, ...expected })
    }
  })
})

describe('the comparison itself', () => {
  it('plays thousands of scenarios', () => {
    expect(all.length).toBeGreaterThan(2000)
  })

  it('permits no difference that has ceased to exist', () => {
    expect([...used].sort()).toEqual(Object.keys(DIFFERENCES).sort())
  })
})
