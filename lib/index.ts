import * as contractModule from './store/contract'
import * as cookieModule from './cookie/cookie'
import * as errorsModule from './base/errors'
import * as guardModule from './manage/guard'
import * as keysModule from './cookie/keys'
import * as managerModule from './manage/manager'
import * as monitorModule from './base/diagnostics'
import * as optionsModule from './options/sessions-options'
import * as registryModule from './request/registry'
import * as sessionDataModule from './session/data'
import * as infoModule from './session/info'
import * as modernModule from './session/modern'
import * as verbsModule from './session/verbs'
import * as reindexModule from './manage/reindex'
import * as sessionsModule from './manage/sessions'
import * as storeModule from './store/store'
import * as cookieStoreModule from './stores/cookie/cookie'
import * as fileStoreModule from './stores/file/file'
import * as memoryStoreModule from './stores/memory/memory'

/**
 * The drop-in for express-session: its options, its defaults, its cookies and records, and every option of
 * `sessions()` beside them.
 *
 * @example app.use(session({ secret, resave: false, saveUninitialized: false }))
 */
function session(options?: session.SessionOptions): session.SessionsHandler {
  return sessionsModule.createClassic(options)
}

// Types and values of one name travel as one alias, so that `require`, `import` and module augmentation all see them.
namespace session {
  /** The session on a request. */
  export type RequestSession = Session & Partial<SessionData>
  export type RequestVerbs = modernModule.RequestVerbs

  export import SessionData = sessionDataModule.SessionData
  export import Store = storeModule.Store
  export import MemoryStore = memoryStoreModule.MemoryStore
  export import CookieStore = cookieStoreModule.CookieStore
  export import FileStore = fileStoreModule.FileStore
  export import Session = modernModule.AppSession
  export import Cookie = cookieModule.Cookie
  export import CookieOptions = cookieModule.CookieOptions
  export import SessionError = errorsModule.SessionError
  export import requireSession = guardModule.requireSession
  export import generateKey = keysModule.generateKey
  export import infoOf = infoModule.infoOf
  export import update = modernModule.update
  export import lock = modernModule.lock

  /** Options of the drop-in door: those of express-session, and all of `sessions()`. */
  export interface SessionOptions<Request = any> extends optionsModule.SessionsOptions<Request> {
    /** Old spelling of `name`. */
    key?: string | undefined
  }
  export type SessionsOptions<Request = any> = optionsModule.SessionsOptions<Request>
  export type NamedOptions = optionsModule.NamedOptions
  export type StandardSchema<Output = unknown> = optionsModule.StandardSchema<Output>
  export type MemoryStoreOptions = memoryStoreModule.MemoryStoreOptions
  export type CookieStoreOptions = cookieStoreModule.CookieStoreOptions
  export type FileStoreOptions = fileStoreModule.FileStoreOptions
  export type RequireSessionOptions = guardModule.RequireSessionOptions
  export type SessionErrorCode = errorsModule.SessionErrorCode
  export type ErrorKind = errorsModule.ErrorKind
  export type StoreContract = contractModule.StoreContract
  export type RequestStore = storeModule.RequestStore
  export type ModernSession = modernModule.ModernSession
  export type SessionInfo = infoModule.SessionInfo
  export type RegenerateOptions = verbsModule.RegenerateOptions
  export type LockOptions = verbsModule.LockOptions
  export type ReindexOptions = reindexModule.ReindexOptions
  export type ReindexProgress = reindexModule.ReindexProgress
  export type TokenCodec = contractModule.TokenCodec
  export type Registry = registryModule.Registry
  export type SessionsHandler<Data = Record<string, any>> = sessionsModule.SessionsHandler<Data>
  export type SessionManager<Data = Record<string, any>> = managerModule.SessionManager<Data>
  export type SessionEntry<Data = Record<string, any>> = managerModule.SessionEntry<Data>
  export type SessionStats = monitorModule.SessionStats
  export type SessionEvent = monitorModule.SessionEvent
  export type SessionEventMessage = monitorModule.SessionEventMessage

  type Output<S> = S extends StandardSchema<infer Data> ? Data : never

  /**
   * Sessions with today's defaults.
   * @throws {TypeError} with `code`, naming the option, its value and the remedy
   * @example const auth = sessions<{ userId: string }>({ secret: process.env.SESSION_SECRET })
   */
  export function sessions<S extends StandardSchema>(
    options: SessionsOptions & { schema: S }
  ): SessionsHandler<Output<S>>
  export function sessions<Data = SessionData>(options?: SessionsOptions): SessionsHandler<Data>
  export function sessions(options?: SessionsOptions): SessionsHandler {
    return sessionsModule.createSessions(options)
  }
}

declare global {
  namespace Express {
    type SessionStore = session.RequestStore
    interface Request {
      session: session.RequestSession
      sessionID: string
      sessionStore: SessionStore
      /** The sessions of this request by name. */
      sessions: session.Registry
    }
  }
}

// Never runs. Node's ESM loader finds the named exports of a CommonJS file by reading it, and this is what it reads.
if (false as boolean) {
  const { Store, MemoryStore, CookieStore, FileStore, Session, Cookie, SessionError } = session
  const { sessions, requireSession, generateKey, infoOf, update, lock } = session
  module.exports = {
    Store,
    MemoryStore,
    CookieStore,
    FileStore,
    Session,
    Cookie,
    SessionError,
    sessions,
    requireSession,
    generateKey,
    infoOf,
    update,
    lock
  }
}

export = session
