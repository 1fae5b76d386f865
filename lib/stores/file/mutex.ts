import { SessionError } from '../../base/errors'
import { SECOND, type Milliseconds } from '../../base/time'
import type { Folder } from './folder'
import type { Holders } from './holders'

const PAUSE_MAX: Milliseconds = 16
const SUSPICIOUS_FROM: Milliseconds = 4
const WAIT_MAX: Milliseconds = 10 * SECOND
/** Far beyond what a few file operations take, and well before others may count the holder as dead. */
const HOLD_MAX: Milliseconds = 10 * SECOND

/** Makes sure that the lock is still ours. @throws {SessionError} when it has been held for too long */
export type Check = () => void

/**
 * One at a time for each name, across processes, for as long as a few file operations take.
 *
 * Inside a process work queues up in order; between processes a lock file decides. The lock of a process that was
 * killed is freed by whoever meets it.
 */
export class Mutex {
  readonly #folder: Folder
  readonly #holders: Holders
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(folder: Folder, holders: Holders) {
    this.#folder = folder
    this.#holders = holders
  }

  run<T>(name: string, work: (check: Check) => Promise<T>): Promise<T> {
    const before = this.#queues.get(name) ?? Promise.resolve()
    const result = before.then(() => this.#locked(name, work))
    const settled = result.then(goOn, goOn).then(() => {
      if (this.#queues.get(name) === settled) this.#queues.delete(name)
    })
    this.#queues.set(name, settled)
    return result
  }

  /** Waits until nothing is at work. */
  async idle(): Promise<void> {
    while (this.#queues.size > 0) await Promise.all(this.#queues.values())
  }

  async #locked<T>(name: string, work: (check: Check) => Promise<T>): Promise<T> {
    await this.#acquire(name)
    const since = Date.now()
    const overdue = () => Math.abs(Date.now() - since) > HOLD_MAX
    try {
      return await work(() => {
        if (overdue()) throw tooSlow()
      })
    } finally {
      const ours = !overdue() || (await this.#holders.holderOf(name)) === (await this.#holders.self())
      // A lock left behind is found again below.
      if (ours) await this.#folder.remove('locks', name).catch(isStillOurs)
    }
  }

  async #acquire(name: string): Promise<void> {
    let waited = 0
    for (let pause = 1; !(await this.#holders.link(name)); pause = Math.min(2 * pause, PAUSE_MAX)) {
      if (pause >= SUSPICIOUS_FROM && (await this.#isLeftover(name))) return
      if (waited > WAIT_MAX) throw tooSlow()
      const span = pause * (0.5 + Math.random())
      waited += span
      await new Promise((resolve) => setTimeout(resolve, span))
    }
  }

  // Frees the lock of a dead holder; `true` when it is our own, which nobody here can be using.
  async #isLeftover(name: string): Promise<boolean> {
    const holder = await this.#holders.holderOf(name)
    if (holder === undefined) return false
    if (holder === (await this.#holders.self())) return true
    if (await this.#holders.isDead(holder)) await this.#holders.bury(holder, name)
    return false
  }
}

function tooSlow(): SessionError {
  return new SessionError('ERR_SESSION_STORE_TIMEOUT', `The session folder did not answer within ${WAIT_MAX} ms.`)
}

function goOn(): void {}

function isStillOurs(): void {}
