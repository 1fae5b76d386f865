import { checkGeneratedId } from '../base/ids'
import { checkSendable, isSendable, reviveCookie, StrictCookie, withinBounds } from '../cookie/cookie'
import { ModernSession } from '../session/modern'
import { Session } from '../session/session'
import type { Door, Facts, Plan } from './door'

/** The door of `sessions()`, and of every named session. */
export const modern: Door = {
  Session: ModernSession,
  newCookie: (options) => new StrictCookie(options),
  // express-session keeps `expires: false` and any number of years.
  reviveCookie: (kept) => reviveCookie(withinBounds(kept), StrictCookie),
  checkCookie: checkSendable,
  // Whoever wrote it: its visitor can neither be locked out nor kept from a logout.
  canSend: isSendable,
  checkId: checkGeneratedId,
  // Whole segments. @see RFC 6265 5.1.4
  coversPath: (pathname, path) =>
    path.endsWith('/') || pathname.length === path.length || pathname.charAt(path.length) === '/',
  countsFromFirst: false,
  plan,
  // Data of that name must not get in the way.
  prolong: (session) => void Session.prototype.resetMaxAge.call(session),
  isLenient: false,
  endsByDate: false,
  watchesCookie: true,
  resendsToExtend: true,
  countsStoreChanges: false,
  liveCookieOptions: false,
  believesFirst: false,
  readsCookieParser: false,
  takesAnyRecord: false,
  servesWithoutStore: false,
  loadsEagerly: false,
  touchesCookie: false,
  // gorilla/sessions: a MaxAge below 0 deletes.
  deletesByMaxAge: true,
  needsPublicId: false,
  refusesLateSaves: true,
  warns: true,
  replacesTakenId: false,
  marksForeignRecords: true,
  reportsThroughNext: false,
  destroysUnsaved: false
}

function plan(facts: Facts): Plan {
  const { presented, stored, due, persistent } = facts
  const save = stored
    ? facts.modified || facts.cookieChanged || (facts.resave && !facts.saved)
    : facts.modified || facts.saveUninitialized
  const touch = !save && stored && due && facts.canTouch
  const exists = stored || save
  const prolonged = (save && due) || touch
  return {
    store: save ? 'save' : touch ? 'touch' : 'none',
    sendCookie:
      exists && (!presented || facts.rolling || facts.stale || facts.cookieChanged || (persistent && prolonged))
  }
}
