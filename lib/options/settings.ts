import type { HttpRequest } from '../base/http'
import type { StorePort } from '../store/port'
import type { CookieOptions } from '../cookie/cookie'
import type { KeyRing } from '../cookie/keys'
import type { Door, Limits } from '../doors/door'
import type { MaybePromise, Milliseconds } from '../base/time'
import type { StandardSchema, StoreErrorPolicy } from './sessions-options'
import type { Tokens } from '../tokens/tokens'

/** Every option resolved: defaults applied, values checked. Nothing later looks at a raw option. */
export interface Settings {
  readonly door: Door
  readonly name: string
  /** `undefined`: express-session's `req.secret`, left there by cookie-parser. */
  readonly keys: KeyRing | undefined
  readonly tokens: Tokens
  readonly port: StorePort
  /** Stores see hashes of IDs; a store that keeps sessions in their cookies sees none. */
  readonly hashIds: boolean
  readonly cookie: CookieOptions | ((req: HttpRequest) => CookieOptions)
  readonly limits: Limits
  readonly touchAfter: Milliseconds
  /** Whether a request extends its session; `undefined`: each does. */
  readonly extend: ((req: HttpRequest) => boolean) | undefined
  readonly rolling: boolean
  readonly resave: boolean
  readonly saveUninitialized: boolean
  readonly unsetDestroys: boolean
  readonly genid: ((req: HttpRequest) => MaybePromise<string>) | undefined
  readonly proxy: boolean | undefined
  readonly acceptsCookie: boolean
  /** Lower-case name of the header transport. */
  readonly header: string | undefined
  /** The main session's: a client that sends it gets no cookie. */
  readonly mainHeader: string | undefined
  readonly load: 'auto' | 'eager' | 'lazy'
  readonly onStoreError: (err: unknown, req: HttpRequest) => StoreErrorPolicy
  /** Faults of the store reach the application as the store made them, as in express-session. */
  readonly rawFaults: boolean
  readonly bind: ((req: HttpRequest) => string | undefined) | undefined
  readonly userId: ((session: object) => string | undefined) | undefined
  readonly schema: StandardSchema | undefined
  readonly cacheGuard: boolean
  readonly maxPerUser: number | undefined
  readonly named: ReadonlyMap<string, Settings>
  /** `NODE_ENV` at set-up: asking the environment for every request would cost more than most of the request. */
  readonly production: boolean
  /** Whether records carry our metadata. */
  readonly writesMeta: boolean
}
