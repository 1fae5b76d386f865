import { randomUUID } from 'node:crypto'
import type { StorePort } from '../../store/port'
import type { LockPower, StoreContract } from '../../store/contract'
import { demand, isAboveZero, SessionError } from '../../base/errors'
import type { LockOptions } from '../../session/verbs'
import { madeFor } from '../../base/maps'
import { TIMER_MAX, type Milliseconds } from '../../base/time'
import { givenOptions } from '../../base/warnings'
import { Locks } from '../../stores/memory/locks'

const WAIT: Milliseconds = 10_000
const TTL: Milliseconds = 10_000
const RETRY_MIN: Milliseconds = 5
const RETRY_MAX: Milliseconds = 100

/** Locks that hold within this process, whether or not the store has some of its own. */
const localLocks = madeFor((_store: StoreContract) => new Locks())

/** A lock that is held, and renewed until it is released. */
export interface HeldLock {
  /** Fires if the lock is lost. */
  readonly signal: AbortSignal
  release(): Promise<void>
}

/** A lock as one holder asks for it. */
interface Claim {
  readonly locks: LockPower
  readonly key: string
  readonly token: string
  readonly ttl: Milliseconds
}

/** @throws {OptionError} for times that are none */
export function checkLock(options: LockOptions | undefined): Required<LockOptions> {
  const { wait = WAIT, ttl = TTL } = givenOptions('session.lock()', options, ['wait', 'ttl'])
  demand(typeof wait === 'number' && wait >= 0, 'session.lock()', 'wait', 'a number of milliseconds', wait)
  demand(isAboveZero(ttl), 'session.lock()', 'ttl', 'a number of milliseconds above 0', ttl)
  return { wait, ttl }
}

/**
 * Takes the lock of one session, and renews it until it is released.
 * @throws {SessionError} `ERR_SESSION_LOCK_TIMEOUT` when it is not free within `wait`
 */
export async function takeLock(port: StorePort, key: string, { wait, ttl }: Required<LockOptions>): Promise<HeldLock> {
  const local = localLocks(port.store)
  const locks = port.locks === undefined ? local : behind(local, port.locks)
  const claim = { locks, key, token: randomUUID(), ttl }
  // A lock that cannot be given back ends by itself: no reason to spoil the work that was done under it.
  const release = async () => locks.release(key, claim.token)
  const until = await acquire(claim, wait).catch((err) => {
    // Taken, perhaps, by a command whose answer never came.
    if (!isTimeout(err)) void release().catch(endsByItself)
    throw err
  })
  const lost = new AbortController()
  const stop = keepAlive(claim, until, lost)
  return {
    signal: lost.signal,
    async release() {
      stop()
      await release().catch(endsByItself)
    }
  }
}

// The locks of a store end by the clock. A holder that stood still, with its whole process, is met by nobody of it.
function behind(local: Locks, shared: LockPower): LockPower {
  return {
    async acquire(key, token, ttl) {
      if (!local.acquire(key, token)) return false
      let taken = false
      try {
        taken = await shared.acquire(key, token, ttl)
        return taken
      } finally {
        if (!taken) local.release(key, token)
      }
    },
    renew: (key, token, ttl) => shared.renew(key, token, ttl),
    async release(key, token) {
      try {
        await shared.release(key, token)
      } finally {
        local.release(key, token)
      }
    }
  }
}

// Renews a lock until told to stop, or until it is lost: taken by another holder, or not renewed in time.
function keepAlive({ locks, key, token, ttl }: Claim, end: Milliseconds, lost: AbortController): () => void {
  let until = end
  const lose = () => {
    clearInterval(renewal)
    lost.abort(
      new SessionError('ERR_SESSION_LOCK_TIMEOUT', 'The session lock was lost: stop, and change nothing more.')
    )
  }
  const renew = async () => {
    const now = performance.now()
    if (now >= until) return lose()
    try {
      if (await locks.renew(key, token, ttl)) until = Math.max(until, now + ttl)
      else lose()
    } catch {
      // Tried again at the next tick, while the lock still stands.
    }
  }
  const renewal = setInterval(() => void renew(), Math.min(ttl / 3, TIMER_MAX))
  renewal.unref()
  return () => clearInterval(renewal)
}

// Answers until when the lock lasts, by the monotonic clock.
async function acquire({ locks, key, token, ttl }: Claim, wait: Milliseconds): Promise<Milliseconds> {
  const deadline = performance.now() + wait
  for (let pause = RETRY_MIN; ; pause = Math.min(pause * 2, RETRY_MAX)) {
    const asked = performance.now()
    if (await locks.acquire(key, token, ttl)) return asked + ttl
    const left = deadline - performance.now()
    if (left <= 0) {
      throw new SessionError(
        'ERR_SESSION_LOCK_TIMEOUT',
        `The session stayed locked for ${wait} ms by somebody else; try again, or raise wait.`
      )
    }
    // The last time it is asked for is when the wait ends.
    const next = Math.min(pause * (0.5 + Math.random() / 2), left)
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(next)))
  }
}

function isTimeout(err: unknown): boolean {
  return err instanceof SessionError && err.code === 'ERR_SESSION_LOCK_TIMEOUT'
}

function endsByItself(): void {}
