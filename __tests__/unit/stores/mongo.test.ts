import { MongoStore } from '../../../lib/mongo'
import { POWERS } from '../../../lib/store/contract'
import { MongoDouble } from '../../helpers/mongo-double'

// Answers as drivers before version 6 do: what was found lies in the answer of the server. Those cannot be installed
// beside the one that the other tests need.
class OlderDriver extends MongoDouble {
  override async findOneAndDelete(filter: object): Promise<any> {
    return { value: await super.findOneAndDelete(filter), lastErrorObject: { n: 1 }, ok: 1 }
  }
}

it('tells what was removed with an older driver, too', async () => {
  const powers = new MongoStore({ collection: new OlderDriver() as never })[POWERS]
  const life = { usedAt: Date.now(), expiresAt: Date.now() + 60_000 }
  const [one, two] = ['{"cookie":{},"n":1}', '{"cookie":{},"n":2}'] as const
  await powers.write({ id: 'a', text: one, expected: null, life })
  expect(await powers.remove('unknown')).toBe(false)
  expect(await powers.remove('a', undefined, two)).toMatchObject({ text: one })
  expect(await powers.read('a')).toMatchObject({ text: one })
  expect(await powers.remove('a', undefined, one)).toBe(true)
  expect(await powers.read('a')).toBeNull()
})
