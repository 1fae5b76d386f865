/**
 * What has to happen on the Redis server in one step. Each script touches one key, so all of them work in a cluster,
 * and reads no clock: times are arguments.
 */
import { hashOf } from '../../base/hash'
import { META } from '../../record/record'

/** A Lua script, and the commands that an ACL must allow for it. */
export interface Script {
  readonly source: string
  readonly sha: string
  readonly commands: string
}

function script(commands: string, source: string): Script {
  return { source, sha: hashOf('sha1', source, 'hex'), commands: `evalsha eval ${commands}` }
}

// Cuts a record around the digits of its time of last use: the first plain occurrence, as `withUsedAt` does.
const SPLIT = `
local function split(text)
  local _, stop = string.find(text, '"${META}":{"u":', 1, true)
  local digits = stop and string.match(text, '^%d+', stop + 1)
  if not digits then return nil end
  return string.sub(text, 1, stop), digits, string.sub(text, stop + 1 + #digits)
end
`

/**
 * Writes a record if what is kept is what the caller knows: new text, ms (empty: for ever), then SHA-1 of the known text
 * or, where that is empty, the known text itself.
 *
 * The server's version when written (1 where it does not say), the other text when it differs, nothing when it is gone.
 */
export const REPLACE = script(
  'get set',
  `
local text = redis.call('GET', KEYS[1])
if not text then return false end
local same
if ARGV[3] ~= '' then same = redis.sha1hex(text) == ARGV[3] else same = text == ARGV[4] end
if not same then return text end
if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return redis.REDIS_VERSION_NUM or 1
`
)

/** Extends a life: time of last use, ms (empty: as it was). The record as it is now, or 1 where it keeps no such time. */
export const TOUCH = script(
  'get set pexpire pttl',
  `${SPLIT}
local text = redis.call('GET', KEYS[1])
if not text then return false end
local head, _, rest = split(text)
if not head then
  if ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 1
end
text = head .. ARGV[1] .. rest
if ARGV[2] == '' then redis.call('SET', KEYS[1], text, 'KEEPTTL') else redis.call('SET', KEYS[1], text, 'PX', ARGV[2]) end
return text
`
)

/** Enters a session in the index of a user: now, when the entry may go, session. The index lives as long as its last entry. */
export const INDEX_ADD = script(
  'zadd zremrangebyscore zrange pexpire persist',
  `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if tonumber(last) >= 9e15 then return redis.call('PERSIST', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(last) - tonumber(ARGV[1])))
`
)

/** The sessions in the index of a user with their scores: now. A replica lists without tidying up. */
export const INDEX_LIST = script(
  'zremrangebyscore zrangebyscore',
  `
redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], '+inf', 'WITHSCORES')
`
)

/** Takes sessions out of the index of a user: one session, or sessions and the score each must still have. */
export const INDEX_DROP = script(
  'zrem zscore',
  `
for i = 1, #ARGV, 2 do
  local score = ARGV[i + 1]
  if not score or redis.call('ZSCORE', KEYS[1], ARGV[i]) == score then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
`
)

/** Prolongs a lock of the holder's own: token, ms. */
export const LOCK_RENEW = script(
  'get pexpire',
  `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`
)

/** Frees a lock of the holder's own: token. */
export const LOCK_RELEASE = script(
  'get del',
  `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`
)
