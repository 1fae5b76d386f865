import { inspect } from 'node:util'
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

it('puts neither an ID nor data into an error of a server that refuses a document', async () => {
  // What a validator of the collection answers: the double has none.
  const errInfo = { failingDocumentId: 'the-id', details: { consideredValue: 'the-data' } }
  const refused = Object.assign(new Error('Document failed validation'), {
    code: 121,
    errInfo,
    errorResponse: { errInfo }
  })
  const collection = Object.assign(new MongoDouble(), { updateOne: () => Promise.reject(refused) })
  const set = new MongoStore({ collection: collection as never }).set('the-id', { cookie: {}, n: 'the-data' } as never)
  const fails = await Promise.resolve(set).catch((err: unknown) => err)
  expect(fails).toMatchObject({ status: 503, cause: { code: 121, message: 'Document failed validation' } })
  expect(inspect(fails, { depth: 9, showHidden: true })).not.toMatch(/the-id|the-data/)
})
