import { SessionError } from '../base/errors'
import type { Milliseconds } from '../base/time'

/** So many sessions may wait for one store of one middleware to load them; further ones are refused at once. */
export const LOADS_MAX = 4096

interface Call {
  readonly due: Milliseconds
  readonly verb: string
  /** The session, if this is a load. */
  readonly key: string | undefined
  reject(err: SessionError): void
}

/**
 * The calls that a store has not answered, each with a deadline. All have the same time, so one timer serves them all.
 *
 * A store that hangs keeps what it is asked. So the loads it left unanswered still count, until an answer to any load
 * shows that it goes on; while they fill all places, one load at a time finds out.
 */
export class CallDeadlines {
  readonly #timeout: Milliseconds
  // The earliest deadline first, for that is the order in which they come.
  readonly #calls = new Set<Call>()
  // How many loads each session waits for.
  readonly #loads = new Map<string, number>()
  #unanswered = 0
  #timer: NodeJS.Timeout | undefined

  constructor(timeout: Milliseconds) {
    this.#timeout = timeout
  }

  /** @throws {SessionError} when a load would be one too many. Any number may wait for one and the same session. */
  admit(key: string): void {
    const waiting = this.#loads.size
    if (waiting === 0 || waiting + this.#unanswered < LOADS_MAX || this.#loads.has(key)) return
    throw new SessionError(
      'ERR_SESSION_STORE',
      `The session store has ${LOADS_MAX} loads to answer already: this one was not asked for.`,
      { status: 503 }
    )
  }

  /**
   * The answer, or an error after the deadline. The call itself goes on: only the waiting ends, and its late answer is
   * nobody's.
   */
  until<T>(answer: Promise<T>, verb: string, key?: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      // Not the wall clock: it may be set while a call waits. A little early: writers who wait behind this one have the
      // same patience, and must hear that the store hangs before they ask it too.
      const call: Call = { due: performance.now() + this.#timeout * 0.98, verb, key, reject }
      this.#begin(call)
      answer.then(
        (value) => {
          this.#answered(call)
          resolve(value)
        },
        (err) => {
          this.#answered(call)
          reject(failureOf(err, verb))
        }
      )
    })
  }

  #begin(call: Call): void {
    const { key } = call
    if (key !== undefined) this.#loads.set(key, (this.#loads.get(key) ?? 0) + 1)
    this.#calls.add(call)
    if (this.#timer === undefined) this.#timer = setTimeout(this.#expire, this.#timeout)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  #answered(call: Call): void {
    if (call.key !== undefined) this.#unanswered = 0
    this.#end(call)
    // It stays, for the next call: only nobody must be kept alive by it.
    if (this.#calls.size === 0) this.#timer?.unref()
  }

  #end(call: Call): void {
    const { key } = call
    if (!this.#calls.delete(call) || key === undefined) return
    const left = this.#loads.get(key)! - 1
    if (left === 0) this.#loads.delete(key)
    else this.#loads.set(key, left)
  }

  readonly #expire = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const call of this.#calls) {
      if (call.due > now) {
        this.#timer = setTimeout(this.#expire, call.due - now)
        return
      }
      this.#end(call)
      if (call.key !== undefined) this.#unanswered++
      call.reject(tooLate(call.verb, this.#timeout))
    }
  }
}

function tooLate(verb: string, timeout: Milliseconds): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The session store did not answer ${verb}() within ${timeout} ms; check that it is reachable, or raise storeTimeout.`
  )
}

/** What a store has failed with: an error also where it gave none, so that nobody takes the failure for success. */
export function failureOf(err: unknown, verb: string): unknown {
  return err || new SessionError('ERR_SESSION_STORE', `The session store failed in ${verb}() and did not say why.`)
}
