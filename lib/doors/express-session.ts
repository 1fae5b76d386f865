import { checkAnyId } from '../base/ids'
import { Cookie, reviveCookie } from '../cookie/cookie'
import { Session } from '../session/session'
import type { Door, Facts, Plan } from './door'

/**
 * express-session's door: what it keeps on purpose because applications in the field rely on it, each with the place in
 * express-session 1.19 that it comes from (`index.js` where nothing else is named).
 */
export const expressSession: Door = {
  // session/session.js: own hidden members, and data never shadows them.
  Session,
  newCookie: (options) => new Cookie(options),
  // session/store.js, createSession: whatever is kept makes a cookie.
  reviveCookie: (kept) => reviveCookie(kept),
  // The `onHeaders` listener: the response goes out without a cookie that cannot be sent, and the error to `next`.
  checkCookie: () => undefined,
  // generate: the answer of `genid` is taken as it is. What no cookie can carry it refuses too, when it has stored it.
  checkId: checkAnyId,
  // `originalPath.indexOf(cookieOptions.path || '/')`: by prefix, so that /admin covers /administrator.
  coversPath: () => true,
  // isModified: the ID or the hash differs from what the request began with; undone changes are none.
  countsFromFirst: true,
  plan,
  // `req.session.touch()`, which applications replace.
  prolong: (session) => void session.touch(),
  // wrapmethods: the session's own `save` is what is called at the end of a response.
  ownSave(session) {
    const own: unknown = session.save
    if (own === Session.prototype.save || typeof own !== 'function') return undefined
    return (done) => void own.call(session, done)
  },
  // `defer(next, err)` and then `writeend()`: without an error handler the handler's response is sent.
  isLenient: true,
  // Cookie#expires decides (session/memory.js and stores alike).
  endsByDate: true,
  // hash: `cookie` is left out, so that its change alone sends nothing and is stored by touch.
  watchesCookie: false,
  resendsToExtend: false,
  // shouldSetCookie hashes the session again, after `store.set` (session-file-store, connect-mongo with touchAfter).
  countsStoreChanges: true,
  // generate: `new Cookie(cookieOptions)` of the object that was given.
  liveCookieOptions: true,
  // getcookie: the first cookie of the name; the rest is not looked at, nor removed.
  believesFirst: true,
  // getcookie: `req.signedCookies` and `req.cookies`.
  readsCookieParser: true,
  // inflate: exceptions of the store's record reach the application.
  takesAnyRecord: true,
  // `if (!storeReady) { next(); return }`.
  servesWithoutStore: true,
  // The store is read before `next()`.
  loadsEagerly: true,
  // shouldTouch: `store.touch(id, session)` at each end of a response; the listener of the head touches as well.
  touchesCookie: true,
  // A cookie of maxAge 0 is sent as expired, its record stays.
  deletesByMaxAge: false,
  // shouldSave and shouldTouch: `typeof req.sessionID !== 'string'`.
  needsPublicId: true,
  // Session#save works long after the end of the response.
  refusesLateSaves: false,
  warns: false,
  // store.set replaces.
  replacesTakenId: true,
  marksForeignRecords: false,
  // `defer(next, err)` after a failed touch, and after a cookie that cannot be serialized.
  reportsThroughNext: true,
  // Session#destroy and unset: `store.destroy(req.sessionID)`, known or not.
  destroysUnsaved: true
}

// shouldSave, shouldTouch and shouldSetCookie.
function plan(facts: Facts): Plan {
  const { presented, modified, saved, everSaved, saveUninitialized } = facts
  const save = !saveUninitialized && !everSaved && !presented ? modified : !saved
  return {
    store: save ? 'save' : presented && facts.canTouch && facts.due ? 'touch' : 'none',
    sendCookie: presented ? facts.rolling || (facts.persistent && modified) : saveUninitialized || modified
  }
}
