import { randomFillSync } from 'node:crypto'
import { SECOND, type Milliseconds } from './time'

const pool = Buffer.allocUnsafeSlow(4096)
// What a copy of this process (a virtual machine restored from a snapshot) finds here is too old to be handed out again.
const LIFE: Milliseconds = SECOND
let used = pool.length
let filledAt: Milliseconds = 0

/**
 * Calls back with so many random bytes, 4096 at most; they are wiped afterwards, so copy what is to stay.
 *
 * Asking the system for each ID and each nonce takes longer than all that is done with them.
 */
export function withRandom<T>(length: number, use: (bytes: Buffer, start: number, end: number) => T): T {
  const now = Date.now()
  if (used + length > pool.length || now < filledAt || now - filledAt >= LIFE) {
    randomFillSync(pool)
    used = 0
    filledAt = now
  }
  const start = used
  used += length
  try {
    return use(pool, start, used)
  } finally {
    pool.fill(0, start, start + length)
  }
}
