// `express-session/session/cookie`: a path that applications and stores import.
import { Cookie } from '../cookie/cookie'

export = Cookie
