import type { Limits } from '../../../lib/doors/door'
import { deadline, idleLimit, isDeleting, isOver } from '../../../lib/lifecycle/lifetime'
import type { Settings } from '../../../lib/options/settings'
import { Clock } from '../../helpers/clock'
import { DAY, HOUR, MINUTE } from '../../helpers/times'

const NOW = Date.UTC(2026, 0, 1)
const req = { headers: {} } as never
const ofSessions = { endsByDate: false }
const ofExpress = { endsByDate: true }

function limitsOf(idle: number | null, given: boolean, { endsByDate }: { endsByDate: boolean }): Limits {
  return { idle, idleIsExplicit: given, absolute: null, endsByDate }
}

/** Settings as far as lifetimes ask for them. */
function settingsOf(limits: Partial<Limits>, cookie: object | ((req: unknown) => object) = {}): Settings {
  const all = { idle: null, idleIsExplicit: true, absolute: null, endsByDate: false, ...limits }
  return { limits: all, cookie } as unknown as Settings
}

describe('the idle limit of a session', () => {
  // `idle` and `maxAge` of the options, and the maxAge that the session's cookie has.
  it.each<
    [door: object, idle: number | null, given: boolean, optionAge: number | null, own: number | null, limit: any]
  >([
    // Until the browser closes: idle alone.
    [ofSessions, DAY, false, null, null, DAY],
    [ofSessions, HOUR, true, null, null, HOUR],
    [ofSessions, null, true, null, null, null],
    // maxAge of the options: the earlier wins, and a default gives way.
    [ofSessions, DAY, false, HOUR, HOUR, HOUR],
    [ofSessions, DAY, false, 7 * DAY, 7 * DAY, 7 * DAY],
    [ofSessions, DAY, true, HOUR, HOUR, HOUR],
    [ofSessions, HOUR, true, DAY, DAY, HOUR],
    [ofSessions, null, true, HOUR, HOUR, HOUR],
    // maxAge of this one session (remember me): its limit, also beyond idle.
    [ofSessions, HOUR, true, null, 7 * DAY, 7 * DAY],
    [ofSessions, HOUR, true, DAY, 7 * DAY, 7 * DAY],
    [ofSessions, DAY, false, null, MINUTE, MINUTE],
    [ofSessions, null, true, null, HOUR, HOUR],
    // The other way round: until the browser closes, though the options have a maxAge.
    [ofSessions, HOUR, true, DAY, null, HOUR],
    // express-session's door: the cookie's date ends the session, idle only where it is set.
    [ofExpress, null, false, null, null, null],
    [ofExpress, null, false, HOUR, HOUR, null],
    [ofExpress, HOUR, true, null, null, HOUR],
    [ofExpress, HOUR, true, DAY, DAY, HOUR],
    [ofExpress, HOUR, true, null, DAY, DAY],
    [ofExpress, HOUR, true, null, 0, HOUR],
    [ofExpress, HOUR, true, null, -1, HOUR]
  ])('%j: idle %p (given: %p), options %p, own %p: %p', (door, idle, given, optionAge, originalMaxAge, limit) => {
    const settings = settingsOf(limitsOf(idle, given, door as never), { maxAge: optionAge })
    expect(idleLimit(settings, req, { originalMaxAge })).toBe(limit)
  })
})

describe('the end of a session', () => {
  const times = { createdAt: NOW - HOUR, usedAt: NOW - MINUTE }
  const date = (at: number) => new Date(at)

  it.each<[what: string, limits: Partial<Limits>, cookie: object, end: number | null]>([
    ['without any limit', {}, { originalMaxAge: null }, null],
    ['idle, from the last use', { idle: DAY }, { originalMaxAge: null }, times.usedAt + DAY],
    ['absolute, from the creation', { absolute: DAY }, { originalMaxAge: null }, times.createdAt + DAY],
    ['the earlier of both: idle', { idle: HOUR, absolute: DAY }, { originalMaxAge: null }, times.usedAt + HOUR],
    ['the earlier of both: absolute', { idle: DAY, absolute: 2 * HOUR }, { originalMaxAge: null }, NOW + HOUR],
    ['a lifetime of its own', { idle: HOUR }, { originalMaxAge: 7 * DAY }, times.usedAt + 7 * DAY],
    ['absolute, whatever lifetime it has', { absolute: DAY }, { originalMaxAge: 7 * DAY }, times.createdAt + DAY],
    ['no date at sessions()', {}, { originalMaxAge: null, expires: date(NOW + HOUR) }, null],
    ['the date of the cookie', { endsByDate: true }, { originalMaxAge: null, expires: date(NOW + HOUR) }, NOW + HOUR],
    ['the date as text', { endsByDate: true }, { originalMaxAge: 1, expires: date(NOW).toJSON() }, NOW],
    ['the date before idle', { endsByDate: true, idle: DAY }, { originalMaxAge: null, expires: date(NOW) }, NOW],
    ['what is no date', { endsByDate: true }, { originalMaxAge: null, expires: 'soon' }, null],
    ['a cookie without end', { endsByDate: true }, { originalMaxAge: null, expires: null }, null]
  ])('is %s', (_what, limits, cookie, end) => {
    expect(deadline(settingsOf(limits), req, cookie as never, times)).toBe(end)
  })

  it('counts the maxAge that a function gives this request as one of the options', () => {
    const asked = jest.fn(() => ({ maxAge: DAY }))
    expect(deadline(settingsOf({ idle: HOUR }, asked), req, { originalMaxAge: DAY }, times)).toBe(times.usedAt + HOUR)
    expect(asked).toHaveBeenCalledWith(req)
  })
})

describe('a session', () => {
  const meta = { c: NOW - 2 * HOUR, u: NOW - HOUR }
  let clock: Clock
  beforeEach(() => (clock = new Clock(NOW)))
  afterEach(() => clock.restore())

  it.each<[what: string, limits: Partial<Limits>, usedAt: number | undefined, over: boolean]>([
    ['without limits lives', {}, meta.u, false],
    ['lives in the ms before its idle end', { idle: HOUR + 1 }, meta.u, false],
    ['is over at its idle end', { idle: HOUR }, meta.u, true],
    ['lives in the ms before its absolute end', { absolute: 2 * HOUR + 1 }, meta.u, false],
    ['is over at its absolute end, however lately it was used', { absolute: 2 * HOUR }, NOW, true],
    ['that the store says is in use is not idle', { idle: 1 }, undefined, false],
    ['that the store says is in use ends at its absolute end', { absolute: 2 * HOUR }, undefined, true]
  ])('%s', (_what, limits, usedAt, over) => {
    expect(isOver(settingsOf(limits), req, { cookie: { originalMaxAge: null }, meta }, usedAt)).toBe(over)
  })

  it.each([
    [null, false],
    [1, false],
    [0, true],
    [-1, true]
  ])('with a maxAge of %p is to be deleted: %p', (originalMaxAge, deleting) => {
    expect(isDeleting({ originalMaxAge })).toBe(deleting)
  })
})
