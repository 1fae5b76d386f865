import { LOCK_PREFIX, type Found, type Life, type Listed } from '../../store/contract'
import { unavailable } from '../../base/errors'
import type { MaybePromise, Milliseconds } from '../../base/time'
import { decodeFound } from '../../store/record-cache'
import { isSameText, live, loaded, type ListedPowers } from '../record-store'
import { sessionTooLarge } from '../too-large'
import { PLAIN_NUMBERS, type MongoCollection, type MongoDocument } from './collection'
import { ask, unlessThere } from './errors'
import { TEXTS, type MongoFormat } from './format'

/** What MongoDB takes as one document, less what is beside the text of a session. */
const SIZE_MAX = 16 * 1024 * 1024 - 16 * 1024
// Whoever gets in the way of a write has made a change of its own.
const ATTEMPTS_MAX = 8
/** Sessions, and no locks. */
const SESSIONS = { session: { $exists: true } }

/**
 * The powers of the MongoDB store: each one command, where nothing gets in between.
 *
 * A write names in its filter the very session that was read. What is over is as good as gone, whether the TTL index
 * has removed it or not; all times are those of this process.
 */
export function mongoPowers(
  open: () => Promise<MongoCollection>,
  format: MongoFormat,
  ttl: Milliseconds
): ListedPowers {
  const run = <T>(command: string, work: (sessions: MongoCollection) => MaybePromise<T>): Promise<T> =>
    ask(command, async () => work(await open()))
  const find = (id: string) =>
    run('find', (sessions) => sessions.findOne(withId(id), PLAIN_NUMBERS) as Promise<MongoDocument | null>)
  // Whether a document was found for the change, or made.
  const change = async (filter: object, update: object, options: object = {}): Promise<boolean> => {
    const done = await run('update', (sessions) => sessions.updateOne(filter, update, options))
    return done.matchedCount + done.upsertedCount > 0
  }
  // The same, or made: unless there is another one of its `_id`.
  const changeUnlessThere = (free: object, update: object): Promise<boolean> =>
    unlessThere(change(free, update, { upsert: true }))
  const remove = async (filter: object): Promise<boolean> => {
    const how = { projection: { expires: 1 }, includeResultMetadata: false }
    const answer = (await run('findAndModify', (sessions) => sessions.findOneAndDelete(filter, how))) as Removed
    // Drivers before version 6 do not know how to leave out what is around it.
    const removed = answer !== null && 'lastErrorObject' in answer ? answer.value : answer
    return removed !== null && !isOver(removed)
  }

  const foundIn = ({ _id, session, expires, silverback }: MongoDocument): Found => {
    const end = expires?.getTime()
    const span = silverback?.span
    return {
      ...format.read(_id, session),
      ...(end !== undefined && typeof span === 'number' && { usedAt: Math.min(Date.now(), end - span) }),
      expiresAt: end ?? null
    }
  }
  const endingAt = ({ usedAt, expiresAt }: Life): object => {
    const end = expiresAt ?? usedAt + ttl
    return { expires: new Date(end), 'silverback.span': end - usedAt }
  }
  // `owner`: whose it is from now on; `null`: nobody's; `undefined`: that stays as it is.
  const updateTo = (text: string, life: Life, owner: string | null | undefined, ...sources: unknown[]): Update => {
    const size = Buffer.byteLength(text)
    if (size > SIZE_MAX) throw sessionTooLarge(size, `the ${SIZE_MAX} that MongoDB takes`, text)
    const session = format.encode(text, ...sources)
    const owned = typeof owner === 'string' && { 'silverback.user': owner }
    return {
      $set: { session, ...endingAt(life), ...owned },
      ...(owner === null && { $unset: { 'silverback.user': '' } })
    }
  }

  const read = async (id: string): Promise<Found | null> => {
    const document = await find(id)
    return live(document && foundIn(document))
  }
  // A document that is over is replaced; a live one gets in the way of the upsert.
  const create = async (id: string, text: string, update: Update): Promise<true | Found> => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const free = { ...withId(id), expires: { $lte: new Date() } }
      if (await changeUnlessThere(free, update)) {
        format.remember(id, text, update.$set.session)
        return true
      }
      const found = await read(id)
      // A first write whose answer never came has arrived all the same.
      if (found !== null) return isSameText(found.text, text) ? true : found
      // It was over just then.
    }
    throw unavailable('MongoDB neither has nor takes a new session')
  }
  // Does something to the session that was read: `true` when done, else what is kept instead.
  const exchange = async (
    id: string,
    expected: string,
    work: (filter: object, before: unknown) => Promise<boolean>
  ): Promise<true | Found | null> => {
    let before = format.match(id, expected)
    let found: Found | null = null
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (before !== undefined && (await work({ ...withId(id), session: { $eq: before } }, before))) return true
      const document = await find(id)
      if (document === null || isOver(document)) return null
      found = foundIn(document)
      if (!isSameText(found.text, expected)) return found
      before = document.session
    }
    return found
  }
  const each = (visit: (found: Listed) => void, condition: object = SESSIONS): Promise<void> =>
    run('find', async (sessions) => {
      for await (const found of sessions.find({ ...condition, ...isLive() }, PLAIN_NUMBERS)) {
        visit({ id: (found as MongoDocument)._id, ...foundIn(found as MongoDocument) })
      }
    })

  return {
    sync: false,
    remote: true,
    ttl,
    // Documents of their own beside the sessions, with the token of the holder and the time of the end, by this process'
    // clock. No session has an `expires` of null: connect-mongo sees no lock.
    lock: {
      acquire(id, token, ttl) {
        const now = Date.now()
        const free = { _id: LOCK_PREFIX + id, 'silverback.until': { $lte: new Date(now) } }
        const taken = { $set: { expires: null, silverback: { token, until: new Date(now + ttl) } } }
        return changeUnlessThere(free, taken)
      },
      renew(id, token, ttl) {
        const now = Date.now()
        const held = { ...ownLock(id, token), 'silverback.until': { $gt: new Date(now) } }
        return change(held, { $set: { 'silverback.until': new Date(now + ttl) } })
      },
      release: async (id, token) => void (await run('delete', (sessions) => sessions.deleteOne(ownLock(id, token))))
    },
    read,
    async load(id) {
      const document = await find(id)
      const kept = { ...withId(id), expires: document?.expires }
      const bury = async () => (await run('delete', (sessions) => sessions.deleteOne(kept))).deletedCount === 1
      return loaded(document && foundIn(document), bury)
    },
    async write({ id, text, expected, life, user, live }) {
      const owner = user && (user.to ?? null)
      // Not made where the text is all that is kept.
      const session = format === TEXTS ? undefined : live?.()
      if (expected === null) return create(id, text, updateTo(text, life, owner, session))
      return exchange(id, expected, async (filter, before) => {
        const update = updateTo(text, life, owner, session, before)
        const changed = await change({ ...filter, ...isLive() }, update)
        if (changed) format.remember(id, text, update.$set.session)
        return changed
      })
    },
    async put(id, text, life, user, session) {
      const update = updateTo(text, life, user ?? null, session)
      await change(withId(id), update, { upsert: true })
      format.remember(id, text, update.$set.session)
    },
    extend: async (id, life) => change({ ...withId(id), ...isLive(), ...format.stays }, { $set: endingAt(life) }),
    async remove(id, _user, expected) {
      return expected === undefined ? remove(withId(id)) : ((await exchange(id, expected, remove)) ?? false)
    },
    async list(user) {
      const listed: Listed[] = []
      const visit = (found: Listed) => {
        if (decodeFound(found)?.meta?.i === user) listed.push(found)
      }
      await each(visit, { 'silverback.user': { $eq: user } })
      return listed
    },
    each: (visit) => each(visit),
    ids: () =>
      run('find', async (sessions) => {
        const ids: string[] = []
        const found = sessions.find({ ...SESSIONS, ...isLive() }, { projection: { _id: 1 } })
        for await (const document of found) ids.push((document as MongoDocument)._id)
        return ids
      }),
    count: () => run('count', (sessions) => sessions.countDocuments({ ...SESSIONS, ...isLive() })),
    clear: () => run('delete', (sessions) => sessions.deleteMany(SESSIONS))
  }
}

function ownLock(id: string, token: string): object {
  return { _id: LOCK_PREFIX + id, 'silverback.token': token }
}

/** What was removed: a document or nothing, or either in an answer of the server. */
type Removed = MongoDocument | null | { value: MongoDocument | null; lastErrorObject: unknown }

interface Update {
  $set: { session: unknown }
}

// Whatever an application takes out of a query string, it is no operator.
function withId(id: string): { _id: string } {
  return { _id: String(id) }
}

function isLive(): object {
  return { expires: { $not: { $lte: new Date() } } }
}

function isOver({ expires }: Pick<MongoDocument, 'expires'>): boolean {
  return expires instanceof Date && expires.getTime() <= Date.now()
}
