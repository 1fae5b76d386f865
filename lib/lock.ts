import { randomUUID } from 'node:crypto'
import type { Backend } from './backend'
import type { LockPower, StoreContract } from './contract'
import { SessionError } from './errors'
import type { LockOptions } from './session-host'
import type { Milliseconds } from './time'

const WAIT: Milliseconds = 10_000
const TTL: Milliseconds = 10_000
const RETRY_MIN: Milliseconds = 5
const RETRY_MAX: Milliseconds = 100

/** Locks for stores that have none of their own: they hold within this process. */
class LocalLocks implements LockPower {
  readonly #holders = new Map<string, { token: string; until: Milliseconds }>()

  acquire(id: string, token: string, ttl: Milliseconds): boolean {
    const holder = this.#holders.get(id)
    if (holder !== undefined && holder.until > Date.now()) return false
    this.#holders.set(id, { token, until: Date.now() + ttl })
    return true
  }

  renew(id: string, token: string, ttl: Milliseconds): boolean {
    const holder = this.#holders.get(id)
    if (holder?.token !== token) return false
    holder.until = Date.now() + ttl
    return true
  }

  release(id: string, token: string): void {
    if (this.#holders.get(id)?.token === token) this.#holders.delete(id)
  }
}

const local = new WeakMap<StoreContract, LocalLocks>()

function localLocks(store: StoreContract): LocalLocks {
  let locks = local.get(store)
  if (locks === undefined) local.set(store, (locks = new LocalLocks()))
  return locks
}

/**
 * Runs `fn` while holding the lock of one session. The signal given to `fn` fires if the lock is lost meanwhile.
 * @throws {SessionError} `ERR_SESSION_LOCK_TIMEOUT` when it is not free within `wait`
 */
export async function runLocked<T>(
  backend: Backend,
  key: string,
  fn: (signal: AbortSignal) => T | Promise<T>,
  { wait = WAIT, ttl = TTL }: LockOptions
): Promise<T> {
  const locks = backend.locks ?? localLocks(backend.store)
  const token = randomUUID()
  await acquire(locks, key, token, wait, ttl)
  const lost = new AbortController()
  const renewal = setInterval(() => {
    void Promise.resolve()
      .then(() => locks.renew(key, token, ttl))
      .then(
        (held) =>
          held ||
          lost.abort(
            new SessionError('ERR_SESSION_LOCK_TIMEOUT', 'The session lock was lost: stop, and change nothing more.')
          )
      )
      // A renewal that fails is tried again at the next tick, while the lock still stands.
      .catch(() => undefined)
  }, ttl / 3)
  renewal.unref()
  try {
    return await fn(lost.signal)
  } finally {
    clearInterval(renewal)
    await locks.release(key, token)
  }
}

async function acquire(
  locks: LockPower,
  key: string,
  token: string,
  wait: Milliseconds,
  ttl: Milliseconds
): Promise<void> {
  const deadline = Date.now() + wait
  for (let pause = RETRY_MIN; !(await locks.acquire(key, token, ttl)); pause = Math.min(pause * 2, RETRY_MAX)) {
    if (Date.now() + pause > deadline) {
      throw new SessionError(
        'ERR_SESSION_LOCK_TIMEOUT',
        `The session stayed locked for ${wait} ms by somebody else; try again, or raise wait.`
      )
    }
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)))
  }
}
