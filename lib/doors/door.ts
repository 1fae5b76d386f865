import type { HttpRequest } from '../base/http'
import type { Milliseconds } from '../base/time'
import type { Cookie, CookieOptions } from '../cookie/cookie'
import type { Origin, Session } from '../session/session'

/** All that the decision about a session depends on. */
export interface Facts {
  /** The request proved to have this session ID. */
  readonly presented: boolean
  /** The store has a record of it, as far as we know. */
  readonly stored: boolean
  /** Its data differs from what was loaded, or it must be written for another reason. */
  readonly modified: boolean
  /** What would be written now has been written already. */
  readonly saved: boolean
  /** An explicit save happened, or nothing needs one: express-session's `savedHash`. */
  readonly everSaved: boolean
  /** The application changed an attribute of the cookie. */
  readonly cookieChanged: boolean
  /** The cookie has a lifetime of its own. */
  readonly persistent: boolean
  /** `touchAfter` has passed, and the request may extend. */
  readonly due: boolean
  /** An older key verified it, or it came in a form that is re-issued. */
  readonly stale: boolean
  readonly canTouch: boolean
  /** The record travels in the cookie. */
  readonly selfContained: boolean
  readonly rolling: boolean
  readonly resave: boolean
  readonly saveUninitialized: boolean
}

/** What to do with the record, and whether the cookie goes along. */
export interface Plan {
  readonly store: 'none' | 'save' | 'touch'
  readonly sendCookie: boolean
}

/** What differs between express-session's door and that of `sessions()`; why, and from which source, is in their files. */
export interface Door {
  readonly Session: new (req: HttpRequest, data: undefined, origin: Origin) => Session
  /** Makes the cookie of a new session. */
  newCookie(options: CookieOptions): Cookie
  /** Makes the cookie of a stored session. */
  reviveCookie(kept: Record<string, unknown>): Cookie
  /** @throws {SessionError} for a cookie that cannot be sent, before it is stored */
  checkCookie(cookie: Cookie): void
  /** Whether a record's cookie can be sent as it is (without this: always); else the options say what is sent. */
  canSend?(kept: Record<string, unknown>): boolean
  /** @throws {SessionError} for what `genid` must not answer */
  checkId(id: unknown, previous: string | undefined): string
  /** Whether the cookie's path covers the path of a request. */
  coversPath(pathname: string, path: string): boolean
  /**
   * Whether a session is modified that differs from what the request began with, its ID among it; else one that differs
   * from what is stored, or has to be stored for another reason.
   */
  readonly countsFromFirst: boolean
  plan(facts: Facts): Plan
  /** Starts the lifetime of the session's cookie anew. */
  prolong(session: Session): void
  /** A `save` of the application's own, to be called instead of ours. */
  ownSave?(session: Session): ((done: (err?: unknown) => void) => void) | undefined
  /** Whether the handler's own response goes out where an application without Express leaves a failed save unanswered. */
  readonly isLenient: boolean
  /** The session's end: by the cookie's date, or by its span since the last use. */
  readonly endsByDate: boolean
  /** A change of the cookie's attributes alone is a reason to store and send the session. */
  readonly watchesCookie: boolean
  /** A self-contained cookie is sent again to extend it, also without an idle limit. */
  readonly resendsToExtend: boolean
  /** Whether a change that a store of the contract makes to the session it is given counts as one. */
  readonly countsStoreChanges: boolean
  /** The cookie options are an object that the application may change after set-up. */
  readonly liveCookieOptions: boolean
  /** The first authentic token of several is believed, and duplicates stay. */
  readonly believesFirst: boolean
  /** Whether tokens and cookies that cookie-parser left on the request count. */
  readonly readsCookieParser: boolean
  /** Whether any record that its store hands out makes a session. */
  readonly takesAnyRecord: boolean
  /** Whether a store that said `disconnect` leaves requests without `req.session`. */
  readonly servesWithoutStore: boolean
  /** Whether the store is asked before the handlers run, wherever it answers at once. */
  readonly loadsEagerly: boolean
  /** Whether every touch replaces the cookie of the record, and a cookie sent counts as a touch. */
  readonly touchesCookie: boolean
  /** Whether a lifetime of 0 or less deletes the session. */
  readonly deletesByMaxAge: boolean
  /** Whether nothing is written for a request whose `sessionID` the application took away. */
  readonly needsPublicId: boolean
  /** Whether a save after the head of the response is a mistake where the client learns nothing of it. */
  readonly refusesLateSaves: boolean
  /** Whether values that JSON changes, and cookies that browsers drop, are warned of outside production. */
  readonly warns: boolean
  /** Whether a record of another session may be replaced by a new one of the same ID. */
  readonly replacesTakenId: boolean
  /** Whether metadata is added to records of any store, and not of those alone that were told to. */
  readonly marksForeignRecords: boolean
  /** Whether a cookie that cannot be rendered, or a touch that failed, is reported through `next` and the response sent. */
  readonly reportsThroughNext: boolean
  /** Whether the ID of a session is removed from the store also where no store knows it. */
  readonly destroysUnsaved: boolean
}

/** The limits of a session's life. */
export interface Limits {
  readonly idle: Milliseconds | null
  /** `idle` was given, and is no default that a longer `cookie.maxAge` among the options replaces. */
  readonly idleIsExplicit: boolean
  readonly absolute: Milliseconds | null
  readonly endsByDate: boolean
}
