// `express-session/session/store`: a path that applications and stores import.
import { Store } from '../store/store'

export = Store
