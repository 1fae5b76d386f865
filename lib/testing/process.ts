import type { SessionError } from '../base/errors'
import { generateKey } from '../cookie/keys'
import { sessionCookie } from '../manage/session-cookie'
import { createSessions, engineOf, type SessionsHandler } from '../manage/sessions'
import type { ModernSession } from '../session/modern'
import type { StoreContract } from '../store/contract'
import { PATIENCE, within } from './checks'
import { faultyStore, type FaultyStore } from './faulty-store'

/** A session of `auth.open()`. */
export type Open = ModernSession & Record<string, any>

const secret = generateKey()

/** `sessions()` on a store, as one process has it. */
export class Process {
  readonly store: FaultyStore
  readonly #auth: SessionsHandler

  constructor(store: StoreContract, storeTimeout = PATIENCE) {
    this.store = faultyStore(store)
    this.#auth = createSessions({ secret, store: this.store, storeTimeout, touchAfter: 0 })
    // What the checks lose is lost on purpose.
    engineOf(this.#auth)!.drop = () => undefined
  }

  begin(data: object): Promise<string> {
    return within(sessionCookie(this.#auth, data as Record<string, unknown>), 'a new session')
  }

  open(cookie: string): Promise<Open> {
    return within(this.#auth.open({ headers: { cookie } }), 'a request')
  }

  extend(id: string): Promise<boolean> {
    return this.#auth.extend(id)
  }

  /** What the checks have put into a session; some stores add properties of their own. */
  async data(cookie: string): Promise<Record<string, unknown>> {
    const { cookie: _cookie, __lastAccess: _files, ...data } = await this.open(cookie)
    return JSON.parse(JSON.stringify(data)) as Record<string, unknown>
  }
}

export const codeOf = (err: unknown): unknown => (err as SessionError).code
