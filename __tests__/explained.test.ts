import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { explain } from '../lib/reply/explain'
import { secret } from './helpers/app'
import { Child } from './helpers/child'
import { TestFolder } from './helpers/folder'
import { Site } from './helpers/race'

const folder = new TestFolder()
let site: Site
let child: Child
let lines: Interface

beforeAll(async () => {
  child = await Child.start('app-child', {
    silent: true,
    env: { ...process.env, NODE_DEBUG: 'silverback', NODE_NO_WARNINGS: '1' }
  })
  lines = createInterface({ input: child.process.stderr! })
  site = new Site(
    await child.call('start', { folder: folder.at('s') }, secret, { given: { cookie: { secure: 'auto' } } })
  )
})

afterAll(async () => {
  await child.kill()
  folder.remove()
})

/** Asks, and gives the line that NODE_DEBUG=silverback prints, without its mark and the pseudonym. */
async function explained(path: string, cookie = ''): Promise<{ line: string; cookie: string }> {
  const printed = once(lines, 'line')
  const res = await site.get(path, cookie)
  const [line] = (await printed) as [string]
  const set = res.headers['set-cookie']?.[0]?.split(';')[0]
  const id = decodeURIComponent(set ?? cookie).match(/s?:?([\w-]{20,})\./)?.[1]
  if (id !== undefined) expect(line).not.toContain(id)
  expect(line).toMatch(/^SILVERBACK \d+: /)
  expect(line).not.toMatch(/ann|bob|token/)
  return { line: line.replace(/^\S+ \d+: /, '').replace(/sid [\w-]{12}:/, 'sid:'), cookie: set ?? cookie }
}

it('NODE_DEBUG=silverback prints one line a request: what was decided, and why', async () => {
  expect((await explained('/read?token=1')).line).toMatch(
    /^GET \/read 200; sid: not saved: there is nothing in it, no cookie: nothing was stored$/
  )
  const { line, cookie } = await explained('/set?user=ann')
  expect(line).toBe('GET /set 200; sid: created (for user), saved, cookie sent: the client had none')
  expect((await explained('/set?a%0Ab=1')).line).toContain('created (for a?b)')
  expect((await explained('/read', cookie)).line).toBe(
    'GET /read 200; sid: loaded, not saved: nothing changed, no cookie: the client has it'
  )
  expect((await explained('/set?user=bob', cookie)).line).toBe(
    'GET /set 200; sid: loaded, saved, no cookie: the client has it'
  )
  expect((await explained('/login?user=ann', cookie)).line).toBe(
    'GET /login 200; sid: loaded, destroyed (regenerate), created (for user), saved, cookie sent: a new ID'
  )
  expect((await explained('/read', cookie)).line).toBe(
    'GET /read 200; sid: rejected (ERR_SESSION_MISSING), not saved: there is nothing in it, no cookie: nothing was stored'
  )
  expect((await explained('/twice/set?user=ann')).line).toBe(
    'GET /twice/set 200; sid: created (for user), saved, cookie sent: the client had none'
  )
  expect((await explained('/read', 'sid=forged')).line).toContain('rejected (ERR_SESSION_SIGNATURE)')
})

it('takes an ID that is no text, as genid of the drop-in door may return', () => {
  const handle = { id: 12345, status: 'new', settings: { name: 'sid' } } as unknown as Parameters<typeof explain>[0]
  expect(explain(handle, undefined, [])).toBe('sid: not saved: there is nothing in it, no cookie: there is no response')
})
