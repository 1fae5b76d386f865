import { DAY, SECOND, type Milliseconds } from '../../base/time'

/** The longest life that memcached takes as such; what is more it takes for a Unix time. */
const RELATIVE_MAX = (30 * DAY) / SECOND

const LAST = 2 ** 31 - 1

export const AT_ONCE = -1

/**
 * When memcached is to forget a value, as its protocol has it: seconds from now, beyond 30 days a Unix time.
 *
 * One second more than asked for: the server's clock ticks once a second, so a life of n seconds may end after n - 1.
 *
 * @see https://github.com/memcached/memcached/blob/master/doc/protocol.txt "Expiration times"
 */
export function exptimeOf(expiresAt: Milliseconds): number {
  const seconds = Math.max(0, Math.ceil((expiresAt - Date.now()) / SECOND)) + 1
  return seconds <= RELATIVE_MAX ? seconds : Math.min(Math.ceil(expiresAt / SECOND) + 1, LAST)
}
