import { cookieOf } from './app'
import type { Ground, Pair } from './race'
import type { RaceOptions } from './race-app'
import { HOUR } from './times'

const persistent = { cookie: { maxAge: HOUR } }

/** The set-ups that differ in what a response does at its end. */
const SETUPS: Record<string, RaceOptions> = {
  'sessions()': {},
  'sessions() with rolling': { given: { rolling: true } },
  'sessions() that extends on each request': { given: { touchAfter: 0, ...persistent } },
  'the drop-in door': { classic: true },
  'the drop-in door with rolling': { classic: true, given: { rolling: true, ...persistent } },
  'the drop-in door with resave': { classic: true, given: { resave: true } }
}

const ENDS: Record<string, (user: string, id: string) => string> = {
  'a logout': () => '/logout',
  'a regeneration': () => '/rotate',
  'a rotation with grace': () => '/rotate?grace=3600000',
  'a revocation': (user, id) => `/revoke?user=${user}&id=${id}`
}

interface Race extends RaceOptions {
  /** The sessions live in their cookies. */
  carried?: boolean
}

let users = 0

/** Every way in which a slow request could bring back a session that ended meanwhile. */
export function describeLateWriters(
  open: () => Promise<Ground>,
  { indexless = false, carried = false }: Pick<Race, 'indexless' | 'carried'> = {}
): void {
  let ground: Ground

  beforeAll(async () => {
    ground = await open()
  })

  afterAll(() => ground?.close())

  describe.each(Object.entries(SETUPS))('%s', (_setup, options) => {
    let pair: Pair

    beforeAll(async () => {
      pair = await ground.start({ ...options, indexless })
    })

    it.each(Object.entries(ENDS))('stays dead after %s, whatever slow requests do with it', (_end, end) =>
      race(pair, end, { ...options, indexless, carried })
    )
  })
}

async function race({ here, there }: Pair, end: (user: string, id: string) => string, options: Race) {
  const user = `user${++users}`
  const cookie = cookieOf(await there.get(`/set?user=${user}`))!
  const { id } = (await here.get('/read', cookie)).body
  const late = await here.hold(['read', 'write', 'update'], cookie)
  await here.get('/dropped')

  const path = end(user, id)
  const ended = await there.get(path, path.startsWith('/revoke') ? '' : cookie)
  expect([ended.status, ended.body]).toEqual([200, 'done'])
  const answers = await late.letGo()

  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [200, 'done'],
    [200, 'done'],
    [500, { code: 'ERR_SESSION_DESTROYED' }]
  ])
  expect(answers.map(({ headers }) => headers['set-cookie'])).toEqual([undefined, undefined, undefined])
  // Who only read, and has no cookie to send again, asks the store for nothing that could be refused.
  const restful = options.given === undefined && (options.classic !== true || options.carried === true)
  const refused = restful ? 2 : 3
  expect((await here.get('/dropped')).body).toEqual(Array(refused).fill('ERR_SESSION_DESTROYED'))

  for (const site of [here, there]) {
    // Where the cookie is all there is, only the process that rotated it knows where the old one leads.
    const leads = path.includes('grace') && (!options.carried || site === there)
    const { body } = await site.get('/read', cookie)
    const gone = { data: {}, isNew: true, code: 'ERR_SESSION_MISSING' }
    expect(body).toMatchObject(leads ? { data: { user }, isNew: false, code: null } : gone)
  }
  if (path.startsWith('/rotate')) expect((await there.get('/read', cookieOf(ended))).body.data).toEqual({ user })
  if (options.indexless) return
  expect((await there.get(`/listed?user=${user}`)).body).toHaveLength(path.startsWith('/rotate') ? 1 : 0)
}
