import type { Facts, Plan } from '../../../lib/doors/door'
import { expressSession } from '../../../lib/doors/express-session'
import { modern } from '../../../lib/doors/sessions'

const FACTS = [
  'presented',
  'stored',
  'modified',
  'saved',
  'everSaved',
  'cookieChanged',
  'persistent',
  'due',
  'stale',
  'canTouch',
  'selfContained',
  'rolling',
  'resave',
  'saveUninitialized'
] as const satisfies readonly (keyof Facts)[]

/** The facts that are named, and none of the others. */
const factsOf = (names: string): Facts =>
  Object.fromEntries(FACTS.map((name) => [name, names.split(' ').includes(name)])) as unknown as Facts

const said = ({ store, sendCookie }: Plan) => (sendCookie ? `${store}, cookie` : store)

/** Every one of them: of those that are left out nothing is asked. */
function* allFacts(without: readonly string[] = []): Generator<Facts> {
  const names = FACTS.filter((name) => !without.includes(name))
  for (let bits = 0; bits < 2 ** names.length; bits++) {
    yield factsOf(names.filter((_, i) => (bits >> i) & 1).join(' '))
  }
}

describe('sessions() plans', () => {
  // A session that came with a cookie is presented; one that the store has is stored.
  const known = 'presented stored saved everSaved'

  it.each<[what: string, facts: string, plan: string]>([
    ['an anonymous visitor who leaves no data', '', 'none'],
    ['a visitor who begins a session', 'modified', 'save, cookie'],
    ['a visitor who begins nothing, with saveUninitialized', 'saveUninitialized', 'save, cookie'],
    ['a cookie whose session is gone', 'presented', 'none'],
    ['a reader', known, 'none'],
    ['a reader, when it is time to extend', `${known} due canTouch`, 'touch'],
    ['the same with a persistent cookie', `${known} due canTouch persistent`, 'touch, cookie'],
    ['the same on a store that cannot extend', `${known} due persistent`, 'none'],
    ['a reader with a persistent cookie, too early to extend', `${known} persistent canTouch`, 'none'],
    ['a writer', 'presented stored modified', 'save'],
    ['a writer with a persistent cookie, too early to extend', 'presented stored modified persistent', 'save'],
    ['a writer with a persistent cookie, in time', 'presented stored modified persistent due', 'save, cookie'],
    ['a change of the cookie alone', `${known} cookieChanged`, 'save, cookie'],
    ['a reader with rolling', `${known} rolling`, 'none, cookie'],
    ['a visitor without data with rolling', 'rolling', 'none'],
    ['a reader with resave', `presented stored resave`, 'save'],
    ['a reader with resave who has saved by hand', `${known} resave`, 'none'],
    ['a reader with a token of an older key', `${known} stale`, 'none, cookie'],
    ['a stale token whose session is gone', 'presented stale', 'none'],
    ['a session that was saved under a new ID', 'stored saved everSaved', 'none, cookie']
  ])('%s', (_what, facts, plan) => {
    expect(said(modern.plan(factsOf(facts)))).toBe(plan)
  })

  it('whatever the facts, what it promises', () => {
    for (const facts of allFacts(['everSaved', 'selfContained'])) {
      const { store, sendCookie } = modern.plan(facts)
      const { stored, modified, saveUninitialized, presented, rolling, stale, cookieChanged, persistent } = facts
      const exists = stored || store === 'save'
      const broken = [
        // Nothing is lost.
        modified && store !== 'save',
        // Nothing is written of a visitor who left nothing, and no cookie names what is not there.
        !stored && !modified && !saveUninitialized && store !== 'none',
        !exists && sendCookie,
        // What is extended is there, can be extended, and is due.
        store === 'touch' && !(stored && facts.canTouch && facts.due),
        // Who has no cookie of a session gets one, and so does who has an old one.
        exists && (!presented || stale || rolling) && !sendCookie,
        // A cookie is not sent again without a reason.
        sendCookie && presented && !(rolling || stale || cookieChanged || persistent)
      ]
      expect([facts, broken.indexOf(true)]).toEqual([facts, -1])
    }
  })
})

describe("express-session's door plans", () => {
  const known = 'presented stored saved everSaved canTouch due'

  it.each<[what: string, facts: string, plan: string]>([
    ['an anonymous visitor who leaves no data', '', 'none'],
    ['the same with saveUninitialized', 'saveUninitialized', 'save, cookie'],
    ['a visitor who begins a session', 'modified', 'save, cookie'],
    ['a visitor who has saved by hand', 'modified saved everSaved', 'none, cookie'],
    ['a reader', known, 'touch'],
    ['a reader of a store without touch', 'presented stored saved everSaved due', 'none'],
    ['a reader with resave, who nothing counts as saved for', 'presented stored canTouch due', 'save'],
    ['a cookie whose session is gone, with nothing saved', 'presented canTouch due', 'save'],
    ['a writer', 'presented stored everSaved modified canTouch due', 'save'],
    ['a writer with a cookie that ends', 'presented stored everSaved modified persistent', 'save, cookie'],
    ['a writer who has saved by hand, with a cookie that ends', `${known} modified persistent`, 'touch, cookie'],
    ['a reader with a cookie that ends', `${known} persistent`, 'touch'],
    ['a reader with rolling', `${known} rolling`, 'touch, cookie'],
    ['a change of the cookie alone', `${known} cookieChanged`, 'touch'],
    ['a reader with a token of an older key', `${known} stale`, 'touch']
  ])('%s', (_what, facts, plan) => {
    expect(said(expressSession.plan(factsOf(facts)))).toBe(plan)
  })

  // shouldSave, shouldTouch and shouldSetCookie of express-session 1.19, `touchAfter` and a store with touch() beside.
  it('as express-session does, whatever the facts', () => {
    for (const facts of allFacts(['stored', 'cookieChanged', 'stale', 'resave', 'selfContained'])) {
      const { presented, modified, saved, everSaved, persistent, rolling, saveUninitialized } = facts
      const shouldSave = !saveUninitialized && !everSaved && !presented ? modified : !saved
      const shouldTouch = presented && !shouldSave && facts.canTouch && facts.due
      const shouldSetCookie = !presented ? saveUninitialized || modified : rolling || (persistent && modified)
      expect([facts, expressSession.plan(facts)]).toEqual([
        facts,
        { store: shouldSave ? 'save' : shouldTouch ? 'touch' : 'none', sendCookie: shouldSetCookie }
      ])
    }
  })
})
