import fc from 'fast-check'
import request from 'supertest'
import { MemoryStore, sessions } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'

type Data = Record<string, any>

interface Step {
  verb: 'set' | 'deepen' | 'delete' | 'move'
  key: string
  value: unknown
}

const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }).filter((json) => !JSON.stringify(json).includes('__proto__')),
  fc.constantFrom<unknown>(new Date(0), [undefined], { a: undefined }, -0, NaN, 'x'.repeat(3000), '\u2028\ud800"')
)
const step: fc.Arbitrary<Step> = fc.record({
  verb: fc.constantFrom('set', 'set', 'deepen', 'delete', 'move'),
  key: fc.constantFrom('a', 'b', '7', '10', 'constructor', 'toString', '"', '\\', '\u2028', '\u00fc', 'cart'),
  value
})

function apply(data: Data, { verb, key, value: given }: Step): void {
  const had = Object.hasOwn(data, key)
  const old = data[key]
  if (verb === 'deepen' && had && typeof old === 'object' && old !== null) old.deep = given
  if (verb === 'delete' || verb === 'move') delete data[key]
  if (verb === 'set') data[key] = given
  if (verb === 'move' && had) data[key] = old
}

// What did not change is not serialized again; the outcome must be that of serializing all of it.
it('stores after any changes in any requests what JSON.stringify makes of the data', async () => {
  const store = new MemoryStore()
  let steps: Step[] = []
  const app = appWith(sessions({ secret, store }), {
    '/': (req, res) => {
      for (const one of steps) apply(req.session, structuredClone(one))
      res.end()
    }
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 3 }), { minLength: 1, maxLength: 5 }), async (requests) => {
      store.clear()
      let expected: Data = {}
      let cookie = ''
      for (steps of [[{ verb: 'set', key: 'a', value: { b: [1] } } satisfies Step], ...requests]) {
        expected = JSON.parse(JSON.stringify(expected))
        for (const one of steps) apply(expected, structuredClone(one))
        const res = await request(app).get('/').set('Cookie', cookie)
        expect(res.status).toBe(200)
        cookie = cookieOf(res) ?? cookie
        const [record] = Object.values(store.all())
        const { cookie: _cookie, __silverback: _meta, ...stored } = record as Data
        expect(JSON.stringify(stored)).toBe(JSON.stringify(expected))
      }
    }),
    { numRuns: 60 }
  )
})
