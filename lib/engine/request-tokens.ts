import type { SessionErrorCode } from '../base/errors'
import { chain, isPromise, type MaybePromise } from '../base/time'
import type { VerifiedToken } from '../tokens/tokens'
import type { Visit } from './engine'
import { chooseToken, fromCookieParser, keysFor, presentedValues, type Choice, type Presented } from './identify'

/** What a request brought for one session: the values under its name, and which of them is believed. */
export class RequestTokens implements Presented {
  readonly values: readonly string[]
  readonly viaHeader: boolean
  readonly #visit: Visit
  #choice: Choice

  constructor(visit: Visit) {
    const { values, viaHeader } = presentedValues(visit.req, visit.settings)
    this.#visit = visit
    this.values = values
    this.viaHeader = viaHeader
    // A token that is the record may have to be asked for (revocations).
    if (!visit.settings.tokens.selfContained) this.#choose(this.#identify() as Choice)
  }

  /** The authentic token, as far as it is known. */
  get token(): VerifiedToken | undefined {
    return typeof this.#choice === 'object' ? this.#choice : undefined
  }

  /** The ID that the request has proved to have. */
  get id(): string | undefined {
    return this.token?.id
  }

  /** Why no token is accepted; `undefined` for an anonymous visitor. */
  get refusal(): SessionErrorCode | undefined {
    return typeof this.#choice === 'string' ? this.#choice : undefined
  }

  /** Whether the request brought anything that may be a session. */
  get bringsSession(): boolean {
    return this.#visit.settings.tokens.selfContained ? this.values.length > 0 : this.token !== undefined
  }

  get isStale(): boolean {
    return this.token?.stale === true
  }

  /** Cookies of our name came along that are not ours, or cannot be told apart: they are expired. */
  get hasDuplicates(): boolean {
    if (this.values.length < 2 || this.#visit.settings.door.believesFirst) return false
    return this.#choice === 'ERR_SESSION_AMBIGUOUS' || (this.token !== undefined && this.#hasOthers)
  }

  /** The authentic token, or why there is none, whatever has to be asked for that. */
  resolve(): MaybePromise<VerifiedToken | SessionErrorCode | undefined> {
    if (this.#choice !== undefined) return this.#choice
    return chain(this.#identify(), (choice) => this.#choose(choice))
  }

  #identify(): MaybePromise<Choice> {
    const { settings, req } = this.#visit
    if (this.values.length === 0 && !settings.door.readsCookieParser) return undefined
    const keys = keysFor(settings, req)
    if (keys === undefined) return undefined
    const chosen = chooseToken(this, settings, keys)
    if (!settings.door.readsCookieParser || isPromise(chosen) || typeof chosen === 'object') return chosen
    return fromCookieParser(req, settings, keys) ?? chosen
  }

  #choose(choice: Choice): Choice {
    this.#choice = choice
    if (typeof choice === 'object' && this.#hasOthers) {
      const { engine, settings } = this.#visit
      engine.monitor.note('rejected', settings.name, choice.id, { reason: 'DUPLICATE' })
    }
    return choice
  }

  get #hasOthers(): boolean {
    const { values } = this
    for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return true
    return false
  }
}
