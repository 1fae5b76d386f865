// `express-session/session/session`: a path that applications and stores import.
import { Session } from '../session/session'

export = Session
