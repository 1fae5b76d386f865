import assert from 'node:assert/strict'
import type { SessionErrorCode } from '../base/errors'
import { infoOf } from '../session/info'
import { kept, within, type Check, type Ground } from './checks'
import { codeOf, Process } from './process'

/** What a store that hangs is given. */
const SOON = 100

async function expectNone(process: Process, cookie: string, ...codes: SessionErrorCode[]): Promise<void> {
  const session = await process.open(cookie)
  const { isNew, error } = infoOf(session)
  assert.deepEqual([isNew, session.user], [true, undefined], 'it is the session of somebody')
  assert.ok(codes.includes(error!.code), `the reason is ${error?.code}`)
}

async function expectRefusal(work: Promise<unknown>, code: SessionErrorCode): Promise<void> {
  const outcome = work.then(() => 'success', codeOf)
  assert.equal(await within(outcome, 'a call'), code)
}

const PROMISES: Record<string, (ground: Ground) => Promise<unknown>> = {
  'a store that hangs is an error in time, and costs no session': async ({ store }) => {
    const process = new Process(store, SOON)
    const calm = new Process(store)
    const cookie = await calm.begin({ user: 'ann' })
    process.store.hang('get')
    await expectRefusal(process.open(cookie), 'ERR_SESSION_STORE_TIMEOUT')
    process.store.recover()
    const session = await calm.open(cookie)
    calm.store.instead('set', () => Promise.reject(new Error('down')))
    session.n = 1
    await expectRefusal(session.save(), 'ERR_SESSION_STORE')
    assert.deepEqual(await new Process(store).data(cookie), { user: 'ann' })
  },
  'a store that is slow loses nothing': async ({ store }) => {
    const process = new Process(store)
    const cookie = await process.begin({})
    for (const verb of ['get', 'set'] as const) process.store.slow(verb, 10)
    const change = async (key: string) => Object.assign(await process.open(cookie), { [key]: true }).save()
    await Promise.all(['a', 'b', 'c'].map(change))
    assert.deepEqual(await process.data(cookie), { a: true, b: true, c: true })
  },
  'a store that lies leads to a new login, and to nothing else': async ({ store }) => {
    const process = new Process(store)
    process.store.lie('set')
    const cookie = await process.begin({ user: 'ann' })
    await expectNone(process, cookie, 'ERR_SESSION_MISSING')
    process.store.recover()
    assert.deepEqual(await process.data(await process.begin({ user: 'ann' })), { user: 'ann' })
  },
  'a corrupt answer is no session, and spoils none': async ({ store }) => {
    const process = new Process(store)
    const cookie = await process.begin({ user: 'ann' })
    process.store.corrupt()
    await expectNone(process, cookie, 'ERR_SESSION_CORRUPT')
    process.store.recover()
    assert.deepEqual(await process.data(cookie), { user: 'ann' })
  },
  'an answer that belongs to another ID is refused': async ({ store }) => {
    const process = new Process(store)
    const [ann, bob] = [await process.begin({ user: 'ann' }), await process.begin({ user: 'bob' })]
    process.store.swap((await process.open(bob)).id)
    await expectNone(process, ann, 'ERR_SESSION_CORRUPT')
  },
  'a write whose answer was lost is found again': async ({ store }) => {
    const process = new Process(store)
    const cookie = await process.begin({ user: 'ann' })
    const session = await process.open(cookie)
    session.n = 1
    process.store.die('set')
    await expectRefusal(session.save(), 'ERR_SESSION_STORE')
    process.store.recover()
    session.more = 2
    await within(session.save(), 'save()')
    assert.deepEqual(await process.data(cookie), { user: 'ann', n: 1, more: 2 })
  },
  'a read that lags behind ends no session': async ({ store }) => {
    const process = new Process(store)
    const session = await process.open('')
    process.store.lag()
    session.a = 1
    await within(session.save(), 'save()')
    session.b = 2
    await within(session.save(), 'save()')
    const { a, b } = (await kept(store, session.id)) ?? {}
    assert.deepEqual([a, b], [1, 2])
  }
}

export const FAULTS = Object.entries(PROMISES).map(([promise, run]): Check => ({ group: 'faults', promise, run }))
