import * as gob from './gorilla/gob'

export { gob }
export { securecookie, type SecureCookie, type SecureCookieOptions } from './gorilla/securecookie'
export { gorillaSessions, type GorillaFormat, type GorillaSessionsOptions } from './gorilla/sessions'
export { GorillaStore, type GorillaStoreOptions } from './gorilla/store'
export { SessionError } from './base/errors'
