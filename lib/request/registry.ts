import { SessionError } from '../base/errors'
import type { HttpRequest } from '../base/http'
import { isCookieName } from '../cookie/cookie'
import type { Engine } from '../engine/engine'
import { loadSession } from '../lifecycle/load'
import { SessionHandle } from '../lifecycle/verbs/session-handle'
import type { ResponseState } from '../lifecycle/status'
import { namedSettings } from '../options/options'
import type { Settings } from '../options/settings'
import type { NamedOptions } from '../options/sessions-options'
import type { ModernSession } from '../session/modern'

/** What the registry needs of the request. */
export interface RegistryHost {
  readonly engine: Engine
  readonly req: HttpRequest
  readonly main: SessionHandle
  readonly response: ResponseState
  /** A session is read: the response depends on the cookie. */
  noteRead(): void
}

type AnySession = ModernSession & Record<string, any>

/** The sessions of one request, by name: gorilla's `Registry`. */
export class Registry {
  readonly #request: RegistryHost
  readonly #handles = new Map<string, SessionHandle>()
  readonly #unregistered: SessionHandle[] = []

  constructor(request: RegistryHost) {
    this.#request = request
  }

  /** Loads the main session, where it is not loaded before the handlers run. */
  load(): Promise<AnySession> {
    this.#request.noteRead()
    const { main } = this.#request
    return Promise.resolve(loadSession(main)).then(() => main.session) as Promise<AnySession>
  }

  /**
   * The session of a name, the same instance all through the request; never nothing: a cookie that is refused gives a
   * new session with the reason in `error`. Undeclared names use the main session's store, keys and attributes.
   * @throws {SessionError} `ERR_SESSION_NAME` for what cannot be a cookie name
   */
  async get(name: string, options?: NamedOptions): Promise<AnySession> {
    this.#request.noteRead()
    const isMain = name === this.#request.engine.settings.name
    const handle = isMain ? this.#request.main : this.#handle(name, options)
    if (handle.status === 'ended') await handle.restart()
    await loadSession(handle)
    return handle.session as AnySession
  }

  /**
   * Decodes the session of a name anew; the result is not registered: it is saved by its own `save()` alone, and its
   * cookie is sent then.
   */
  async new(name: string, options?: NamedOptions): Promise<AnySession> {
    this.#request.noteRead()
    const handle = this.#make(name, options)
    handle.isRegistered = false
    this.#unregistered.push(handle)
    return (await loadSession(handle)) as AnySession
  }

  /** Saves every session of the request. @throws {AggregateError} that lists every failure */
  async save(): Promise<void> {
    const { main } = this.#request
    if (main.status === 'found') await loadSession(main)
    const sessions = [main, ...this.#handles.values()].flatMap(({ session }) => session ?? [])
    const results = await Promise.allSettled(sessions.map((session) => session.save()))
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    if (errors.length > 0)
      throw new AggregateError(errors, `${errors.length} of ${sessions.length} sessions could not be saved`)
  }

  handles(): Iterable<SessionHandle> {
    return [...this.#unregistered, ...this.#handles.values()]
  }

  #handle(name: string, options?: NamedOptions): SessionHandle {
    let handle = this.#handles.get(name)
    if (handle === undefined) {
      handle = this.#make(name, options)
      this.#handles.set(name, handle)
    }
    return handle
  }

  #make(name: string, options?: NamedOptions): SessionHandle {
    const { engine, req, response } = this.#request
    return new SessionHandle(engine, this.#settings(name, options), req, response)
  }

  #settings(name: string, options?: NamedOptions): Settings {
    if (typeof name !== 'string' || !isCookieName(name) || name === '__proto__') {
      throw new SessionError(
        'ERR_SESSION_NAME',
        "A session name must be a cookie name: letters, digits and !#$%&'*+-.^_`|~"
      )
    }
    const { settings } = this.#request.engine
    if (name === settings.name) return settings
    const declared = settings.named.get(name)
    if (declared !== undefined && options === undefined) return declared
    return namedSettings(declared ?? settings, name, options)
  }
}
