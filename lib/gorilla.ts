import * as gob from './gorilla/gob'

export { gob }
export { securecookie, type SecureCookie, type SecureCookieOptions } from './gorilla/securecookie'
export { GorillaStore, type GorillaStoreOptions } from './gorilla/store'
export { SessionError } from './base/errors'
