import { SessionError } from '../base/errors'
import { isPromise, type MaybePromise, type Milliseconds } from '../base/time'

/** So many sessions may wait for one store of one middleware to load them; further ones are refused at once. */
export const LOADS_MAX = 4096

const DEADLINE = Symbol('silverback.deadline')

/** A promise with a deadline of these. */
interface Bounded<T> extends Promise<T> {
  [DEADLINE]?: CallDeadlines
}

interface Call {
  readonly due: Milliseconds
  readonly verb: string
  /** The session, if this is a load. */
  readonly key: string | undefined
  readonly reject: (err: SessionError) => void
  /** Whether it waits no longer. */
  isOver: boolean
  before: Call | undefined
  after: Call | undefined
}

/**
 * The calls that a store has not answered, each with a deadline. All have the same time, so one timer serves them all.
 *
 * A store that hangs keeps what it is asked. So the loads it left unanswered still count, until an answer to any load
 * shows that it goes on; while they fill all places, one load at a time finds out.
 */
export class CallDeadlines {
  // A list from the earliest deadline, which is the order in which they come, to the latest: a Set or a Map that is
  // emptied again and again gets another table every time.
  #first: Call | undefined
  #last: Call | undefined
  #loading = 0
  // How many loads each session waits for; kept from when there are so many that it matters until there are none.
  #loads: Map<string, number> | undefined
  #unanswered = 0
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined

  constructor(private readonly timeout: Milliseconds) {}

  /** @throws {SessionError} when a load would be one too many. Any number may wait for one and the same session. */
  admit(key: string): void {
    if (this.#loading === 0 || this.#loading + this.#unanswered < LOADS_MAX) return
    const loads = (this.#loads ??= this.#count())
    if (loads.size + this.#unanswered < LOADS_MAX || loads.has(key)) return
    throw new SessionError(
      'ERR_SESSION_STORE',
      `The session store has ${LOADS_MAX} loads to answer already: this one was not asked for.`,
      { status: 503 }
    )
  }

  /** Asks a store for something, in the time that it has. */
  ask<T>(verb: string, work: () => MaybePromise<T>, load?: string): MaybePromise<T> {
    let answer: MaybePromise<T>
    try {
      answer = work()
    } catch (err) {
      throw failureOf(err, verb)
    }
    return isPromise(answer) ? this.until(answer, verb, load) : answer
  }

  /**
   * The answer, or an error after the deadline. The call itself goes on, and its late answer is dropped. A promise that
   * has its deadline from here is given back as it is.
   */
  until<T>(answer: Bounded<T>, verb: string, key?: string): Promise<T> {
    if (answer[DEADLINE] === this) return answer
    const bounded: Bounded<T> = new Promise<T>((resolve, reject) => {
      // Not the wall clock: it may be set while a call waits. A little early: writers who wait behind this one have the
      // same patience, and must hear that the store hangs before they ask it too.
      const due = performance.now() + this.timeout * 0.98
      const call: Call = { due, verb, key, reject, isOver: false, before: undefined, after: undefined }
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
    bounded[DEADLINE] = this
    return bounded
  }

  #count(): Map<string, number> {
    const loads = new Map<string, number>()
    for (let call = this.#first; call !== undefined; call = call.after) noteLoad(loads, call.key, 1)
    return loads
  }

  #begin(call: Call): void {
    const last = this.#last
    if (call.key !== undefined) this.#loading++
    if (this.#loads !== undefined) noteLoad(this.#loads, call.key, 1)
    call.before = last
    this.#last = call
    if (last !== undefined) last.after = call
    else this.#first = call
    if (this.#timer === undefined) this.#timer = setTimeout(this.#expire, this.timeout)
    else if (last === undefined) this.#timer.ref()
  }

  #answered(call: Call): void {
    if (call.key !== undefined) this.#unanswered = 0
    this.#end(call)
    // The timer stays for the next call, but must not keep the process alive.
    if (this.#first === undefined) this.#timer?.unref()
  }

  #end(call: Call): void {
    const { before, after } = call
    if (call.isOver) return
    call.isOver = true
    // One that is never answered must not keep those that came after it.
    call.before = call.after = undefined
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    if (this.#loads !== undefined) noteLoad(this.#loads, call.key, -1)
    if (call.key !== undefined && --this.#loading === 0) this.#loads = undefined
  }

  // Timers come before sockets: after a stall of the process, answers that are here lie unread. They are looked at first.
  readonly #expire = (): void => {
    this.#timer = setImmediate(this.#refuse)
  }

  readonly #refuse = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (let call = this.#first; call !== undefined; call = this.#first) {
      if (call.due > now) {
        this.#timer = setTimeout(this.#expire, call.due - now)
        return
      }
      this.#end(call)
      if (call.key !== undefined) this.#unanswered++
      call.reject(tooLate(call.verb, this.timeout))
    }
  }
}

function noteLoad(loads: Map<string, number>, key: string | undefined, change: number): void {
  if (key === undefined) return
  const waiting = (loads.get(key) ?? 0) + change
  if (waiting === 0) loads.delete(key)
  else loads.set(key, waiting)
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
