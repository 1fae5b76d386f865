/**
 * What has to happen on the Redis server in one step. Each script touches one key (WRITE: each key by itself), so all
 * work in a cluster, and reads no clock: times are arguments. They answer texts, which no client turns into something
 * else, whatever its user has it make of numbers.
 */
import { hashOf } from '../../base/hash'
import { META, OLD_META } from '../../record/record'

/** A Lua script, and the commands that an ACL must allow for it. */
export interface Script {
  readonly source: string
  readonly sha: string
  readonly commands: string
}

/** @param commands what it calls, lower case */
export function script(commands: string, source: string): Script {
  return { source, sha: hashOf('sha1', source, 'hex'), commands: `evalsha eval ${commands}` }
}

// Cuts a record around the digits of its time of last use, as `withUsedAt` does.
const SPLIT = `
local function split(text)
  for _, name in ipairs({ '"${META}":{"u":', '"${OLD_META}":{"u":' }) do
    local _, stop = string.find(text, name, 1, true)
    local digits = stop and string.match(text, '^%d+', stop + 1)
    if digits then return string.sub(text, 1, stop), string.sub(text, stop + 1 + #digits) end
  end
end
`

/**
 * Writes records if what is kept is what the caller knows: for each key its text, ms (empty: for ever), then `NX` if
 * nothing may be kept, or SHA-1 of the known text or, where that is empty, the known text itself. The first argument is
 * not empty where SET may be able to compare by itself.
 *
 * For each key a text that begins with `+` when written, `*` when written by a SET that compared, `=` and the other text
 * when it differs, `-` and an error; empty when it is gone. What becomes of one key does not matter to the others.
 */
export const WRITE = script(
  'get set',
  `
local compares = ARGV[1] ~= ''
local function set(key, text, ms, ...)
  if ms == '' then return redis.pcall('SET', key, text, ...) end
  return redis.pcall('SET', key, text, 'PX', ms, ...)
end
local function write(key, text, ms, hash, known)
  local reply
  if hash == 'NX' then
    reply = set(key, text, ms, 'NX')
    if reply then return reply.ok and '+' or '-' .. reply.err end
  elseif compares and hash == '' then
    reply = set(key, text, ms, 'IFEQ', known)
    if reply and reply.ok then return '*' end
    if reply then compares = not string.find(reply.err, 'syntax error') end
  end
  local there = redis.pcall('GET', key)
  if not there then return '' end
  if type(there) == 'table' then return '-' .. there.err end
  if hash == '' and there ~= known or hash ~= '' and redis.sha1hex(there) ~= hash then return '=' .. there end
  reply = set(key, text, ms)
  return reply.ok and '+' or '-' .. reply.err
end
local replies = {}
for i = 1, #KEYS do
  local at = 4 * i - 2
  replies[i] = write(KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
return replies
`
)

/**
 * Removes a record, whatever it is, or if it is what the caller knows: SHA-1 of its text or, where that is empty, the
 * text itself. `+` when removed, empty when it was gone, `=` and the other text when it differs.
 */
export const REMOVE = script(
  'get del',
  `
if #ARGV > 0 then
  local there = redis.pcall('GET', KEYS[1])
  if not there then return '' end
  if type(there) == 'table' then return there end
  if (ARGV[1] == '' and there or redis.sha1hex(there)) ~= ARGV[1] .. ARGV[2] then return '=' .. there end
end
return redis.call('DEL', KEYS[1]) == 1 and '+' or ''
`
)

/** Extends a life: time of last use, ms (empty: as it was). The record as it is now; empty where it has no such time. */
export const TOUCH = script(
  'get set pexpire',
  `${SPLIT}
local text = redis.call('GET', KEYS[1])
if not text then return false end
local head, rest = split(text)
if not head then
  if ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return ''
end
text = head .. ARGV[1] .. rest
if ARGV[2] == '' then redis.call('SET', KEYS[1], text, 'KEEPTTL') else redis.call('SET', KEYS[1], text, 'PX', ARGV[2]) end
return text
`
)

/** Gives a lock ms more, if the token is its holder's: `+`. A server that is out of memory does so as well. */
export const RENEW = script(
  'get pexpire',
  `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '' end
return redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 1 and '+' or ''
`
)

/** Enters a session in the index of a user: now, when the entry may go, session. The index lives as long as its last entry. */
export const INDEX_ADD = script(
  'zadd zremrangebyscore zrange pexpire persist',
  `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if tonumber(last) >= 9e15 then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(last) - tonumber(ARGV[1])))
end
return ''
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
return ''
`
)
