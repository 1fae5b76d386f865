import type { LockPower } from '../../store/contract'

/**
 * Locks inside one process. None ends by itself: a holder that lives gives its lock back, and one that died took it
 * along. So a process that stood still, or a clock that was set, lets nobody else in.
 */
export class Locks implements LockPower {
  readonly #held = new Map<string, string>()

  acquire(id: string, token: string): boolean {
    if ((this.#held.get(id) ?? token) !== token) return false
    this.#held.set(id, token)
    return true
  }

  renew(id: string, token: string): boolean {
    return this.#held.get(id) === token
  }

  release(id: string, token: string): void {
    if (this.#held.get(id) === token) this.#held.delete(id)
  }
}
