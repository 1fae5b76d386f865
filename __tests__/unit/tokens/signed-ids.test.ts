import crypto = require('node:crypto')
import { KeyRing } from '../../../lib/cookie/keys'
import { SignedIds } from '../../../lib/tokens/signed-ids'

const keys = () => new KeyRing('a secret of at least thirty-two bytes')
const options = { name: 'sid', issues: 'bound', acceptsOther: false, reissues: true, anyId: false } as const
const REFUSED = 'ERR_SESSION_SIGNATURE'

afterEach(() => jest.restoreAllMocks())

it('remembers a token, and makes no MAC when it comes again', () => {
  const [ring, ids] = [keys(), new SignedIds(options)]
  const value = ids.issue('some-id', ring)
  const first = ids.verify(value, ring)
  const mac = jest.spyOn(crypto, 'createHmac')
  expect(first).toMatchObject({ id: 'some-id', stale: false })
  expect(ids.verify(value, ring)).toBe(first)
  expect(mac).not.toHaveBeenCalled()
})

it.each<[what: string, takes: SignedIds, refuses: SignedIds, id: string]>([
  ['an ID that a store has assigned', new SignedIds(options).forAssigned(), new SignedIds(options), 'user/1'],
  ['any ID', new SignedIds({ ...options, anyId: true }), new SignedIds(options), 'an id'],
  ['another name', new SignedIds(options), new SignedIds({ ...options, name: 'sid2' }), 'some-id'],
  ['the plain form', new SignedIds({ ...options, issues: 'plain' }), new SignedIds(options), 'some-id']
])('takes nothing for authentic because another reader of the same keys has: %s', (_what, takes, refuses, id) => {
  const ring = keys()
  const value = takes.issue(id, ring)
  for (let i = 0; i < 2; i++) {
    expect(takes.verify(value, ring)).toMatchObject({ id })
    expect(refuses.verify(value, ring)).toBe(REFUSED)
  }
  // Nor the other way round.
  const other = keys()
  expect(refuses.verify(value, other)).toBe(REFUSED)
  expect(takes.verify(value, other)).toMatchObject({ id })
})

it('says anew whether a token is stale when the keys have changed', () => {
  const secrets = ['a secret of at least thirty-two bytes']
  const [ring, ids] = [new KeyRing(secrets), new SignedIds(options)]
  const value = ids.issue('some-id', ring)
  expect(ids.verify(value, ring)).toMatchObject({ stale: false })
  secrets.unshift('another secret of thirty-two bytes or more')
  expect(ids.verify(value, ring)).toMatchObject({ stale: true })
  secrets.pop()
  expect(ids.verify(value, ring)).toBe(REFUSED)
})
