import type { Engine } from '../engine/engine'
import { SessionError } from '../base/errors'
import { isCookieName } from '../cookie/cookie'
import { namedSettings, type Settings } from '../options/options'
import type { NamedOptions } from '../options/sessions-options'
import { LooseSlot } from './loose-slot'
import type { Session } from '../session/session'
import type { Answer } from '../session/session-host'
import { Slot } from '../lifecycle/slot'

/** What the registry needs of the request. */
export interface RegistryHost extends Answer {
  readonly engine: Engine
  readonly req: any
  readonly main: Slot
  /** Somebody reads a session: the response depends on the cookie. */
  noteRead(): void
}

/** The sessions of one request, by name: gorilla's `Registry`. */
export class Registry {
  readonly #context: RegistryHost
  readonly #slots = new Map<string, Slot>()
  readonly #loose: Slot[] = []

  constructor(context: RegistryHost) {
    this.#context = context
  }

  /** Loads the main session, where it is not loaded before the handlers run. */
  load(): Promise<Session & Record<string, any>> {
    this.#context.noteRead()
    return Promise.resolve(this.#context.main.load()) as Promise<Session & Record<string, any>>
  }

  /**
   * The session of a name, the same instance all through the request; never nothing: a cookie that is refused gives a
   * new session with the reason in `error`. Undeclared names use the main session's store, keys and attributes.
   * @throws {SessionError} `ERR_SESSION_NAME` for what cannot be a cookie name
   */
  async get(name: string, options?: NamedOptions): Promise<Session & Record<string, any>> {
    this.#context.noteRead()
    const { main } = this.#context
    const slot = name === main.settings.name ? main : this.#slot(name, options)
    if (slot.session === undefined && slot.tracked !== undefined) await slot.renew()
    return (await slot.load()) as Session & Record<string, any>
  }

  /**
   * Decodes the session of a name anew; the result is not registered: it is saved by its own `save()` alone, and its
   * cookie is sent then.
   */
  async new(name: string, options?: NamedOptions): Promise<Session & Record<string, any>> {
    this.#context.noteRead()
    const { engine, req } = this.#context
    const slot = new LooseSlot(engine, this.#settings(name, options), req, this.#context)
    this.#loose.push(slot)
    return (await slot.load()) as Session & Record<string, any>
  }

  /** Saves every session of the request. @throws {AggregateError} that lists every failure */
  async save(): Promise<void> {
    const { main } = this.#context
    if (main.dormant) await main.load()
    const sessions = [main, ...this.#slots.values()].flatMap(({ session }) => session ?? [])
    const results = await Promise.allSettled(sessions.map((session) => session.save()))
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} of ${sessions.length} sessions could not be saved`)
  }

  slots(): Iterable<Slot> {
    return [...this.#loose, ...this.#slots.values()]
  }

  #slot(name: string, options?: NamedOptions): Slot {
    let slot = this.#slots.get(name)
    if (slot === undefined) {
      const { engine, req } = this.#context
      slot = new Slot(engine, this.#settings(name, options), req, this.#context)
      this.#slots.set(name, slot)
    }
    return slot
  }

  #settings(name: string, options?: NamedOptions): Settings {
    if (typeof name !== 'string' || !isCookieName(name) || name === '__proto__') {
      throw new SessionError(
        'ERR_SESSION_NAME',
        "A session name must be a cookie name: letters, digits and !#$%&'*+-.^_`|~"
      )
    }
    const { settings } = this.#context.engine
    if (name === settings.name) return settings
    const declared = settings.named.get(name)
    if (declared !== undefined && options === undefined) return declared
    return namedSettings(declared ?? settings, name, options)
  }
}
