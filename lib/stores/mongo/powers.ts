import type { EXPIRED, Found, Life, Listed, LockPower, Write } from '../../store/contract'
import { unavailable } from '../../base/errors'
import type { MaybePromise, Milliseconds } from '../../base/time'
import { decodeFound } from '../../store/record-cache'
import { buried, isSameText, type ListedPowers } from '../record-store'
import { sessionTooLarge } from '../too-large'
import type { MongoCollection, MongoDocument } from './collection'
import { fault, isDuplicate } from './errors'
import { TEXTS, type MongoFormat } from './format'
import { mongoLock } from './lock'

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
export class MongoPowers implements ListedPowers {
  readonly sync = false
  readonly remote = true
  readonly ttl: Milliseconds
  readonly lock: LockPower
  readonly #open: () => Promise<MongoCollection>
  readonly #format: MongoFormat

  constructor(open: () => Promise<MongoCollection>, format: MongoFormat, ttl: Milliseconds) {
    this.#open = open
    this.#format = format
    this.ttl = ttl
    this.lock = mongoLock((command, work) => this.#run(command, work))
  }

  async read(id: string): Promise<Found | null> {
    const document = await this.#find(id)
    return document === null || isOver(document) ? null : this.#found(document)
  }

  async load(id: string): Promise<Found | typeof EXPIRED | null> {
    const document = await this.#find(id)
    if (document === null) return null
    const found = this.#found(document)
    if (!isOver(document)) return found
    const { expires } = document
    const remove = (sessions: MongoCollection) => sessions.deleteOne({ ...withId(id), expires })
    return buried(found, async () => (await this.#run('delete', remove)).deletedCount === 1)
  }

  async write({ id, text, expected, life, user, live }: Write): Promise<true | Found | null> {
    const whose = user === undefined ? {} : ownedBy(user.to)
    // Not made where the text is all that is kept.
    const session = this.#format === TEXTS ? undefined : live?.()
    if (expected === null) return this.#create(id, text, this.#update(text, life, whose, session))
    return this.#exchange(id, expected, async (filter, before) => {
      const update = this.#update(text, life, whose, session, before)
      const changed = await this.#change({ ...filter, ...isLive() }, update)
      if (changed) this.#format.remember(id, text, update.$set.session)
      return changed
    })
  }

  async put(id: string, text: string, life: Life, user: string | undefined, session: unknown): Promise<void> {
    const update = this.#update(text, life, ownedBy(user), session)
    await this.#change(withId(id), update, { upsert: true })
    this.#format.remember(id, text, update.$set.session)
  }

  async extend(id: string, life: Life): Promise<boolean> {
    const $set = this.#ending(life)
    return this.#change({ ...withId(id), ...isLive(), ...this.#format.stays }, { $set })
  }

  async remove(id: string, _user?: string, expected?: string): Promise<boolean | Found> {
    if (expected !== undefined) return (await this.#exchange(id, expected, (filter) => this.#delete(filter))) ?? false
    return this.#delete(withId(id))
  }

  async list(user: string): Promise<Listed[]> {
    const listed: Listed[] = []
    await this.each(
      (found) => {
        if (decodeFound(found)?.meta?.i === user) listed.push(found)
      },
      { 'silverback.user': { $eq: user } }
    )
    return listed
  }

  each(visit: (found: Listed) => void, condition: object = SESSIONS): Promise<void> {
    return this.#run('find', async (sessions) => {
      for await (const found of sessions.find({ ...condition, ...isLive() })) {
        const each = found as MongoDocument
        visit({ id: each._id, ...this.#found(each) })
      }
    })
  }

  ids(): Promise<string[]> {
    return this.#run('find', async (sessions) => {
      const ids: string[] = []
      const found = sessions.find({ ...SESSIONS, ...isLive() }, { projection: { _id: 1 } })
      for await (const each of found) ids.push((each as MongoDocument)._id)
      return ids
    })
  }

  count(): Promise<number> {
    return this.#run('count', (sessions) => sessions.countDocuments({ ...SESSIONS, ...isLive() }))
  }

  clear(): Promise<unknown> {
    return this.#run('delete', (sessions) => sessions.deleteMany(SESSIONS))
  }

  // A document that is over is replaced; a live one gets in the way of the upsert.
  async #create(id: string, text: string, update: Update): Promise<true | Found> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const free = { ...withId(id), expires: { $lte: new Date() } }
      const created = this.#change(free, update, { upsert: true })
      if (await created.catch((err: Error) => (isDuplicate(err.cause) ? false : Promise.reject(err)))) {
        this.#format.remember(id, text, update.$set.session)
        return true
      }
      const found = await this.read(id)
      // A first write whose answer never came has arrived all the same.
      if (found !== null) return isSameText(found.text, text) ? true : found
      // It was over just then.
    }
    throw unavailable('MongoDB neither has nor takes a new session')
  }

  /** Does something to the session that was read: `true` when done, else what is kept instead. */
  async #exchange(
    id: string,
    expected: string,
    work: (filter: object, before: unknown) => Promise<boolean>
  ): Promise<true | Found | null> {
    let before = this.#format.match(id, expected)
    let found: Found | null = null
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (before !== undefined && (await work({ ...withId(id), session: { $eq: before } }, before))) return true
      const document = await this.#find(id)
      if (document === null || isOver(document)) return null
      found = this.#found(document)
      if (!isSameText(found.text, expected)) return found
      before = document.session
    }
    return found
  }

  async #delete(filter: object): Promise<boolean> {
    const how = { projection: { expires: 1 }, includeResultMetadata: false }
    const removed = await this.#run('findAndModify', (sessions) => sessions.findOneAndDelete(filter, how))
    return removed !== null && !isOver(removed as MongoDocument)
  }

  #update(text: string, life: Life, whose: object, ...sources: unknown[]): Update {
    const size = Buffer.byteLength(text)
    if (size > SIZE_MAX) throw sessionTooLarge(size, `the ${SIZE_MAX} that MongoDB takes`, text)
    const session = this.#format.encode(text, ...sources)
    const { $unset, ...owned } = whose as { $unset?: object }
    return { $set: { session, ...this.#ending(life), ...owned }, ...($unset && { $unset }) }
  }

  #ending({ usedAt, expiresAt }: Life): object {
    const end = expiresAt ?? usedAt + this.ttl
    return { expires: new Date(end), 'silverback.span': end - usedAt }
  }

  #found({ _id, session, expires, silverback }: MongoDocument): Found {
    const end = expires?.getTime()
    const span = silverback?.span
    return {
      ...this.#format.read(_id, session),
      ...(end !== undefined && typeof span === 'number' && { usedAt: Math.min(Date.now(), end - span) }),
      expiresAt: end ?? null
    }
  }

  #find(id: string): Promise<MongoDocument | null> {
    return this.#run('find', (sessions) => sessions.findOne(withId(id)) as Promise<MongoDocument | null>)
  }

  /** Whether a document was found for the change, or made. */
  async #change(filter: object, update: object, options: object = {}): Promise<boolean> {
    const { matchedCount, upsertedCount } = await this.#run('update', (sessions) =>
      sessions.updateOne(filter, update, options)
    )
    return matchedCount + upsertedCount > 0
  }

  async #run<T>(command: string, work: (sessions: MongoCollection) => MaybePromise<T>): Promise<T> {
    try {
      return await work(await this.#open())
    } catch (err) {
      throw fault(err, command)
    }
  }
}

interface Update {
  $set: { session: unknown }
}

// Whatever an application takes out of a query string, it is no operator.
function withId(id: string): { _id: string } {
  return { _id: String(id) }
}

function ownedBy(user: string | undefined): object {
  return user === undefined ? { $unset: { 'silverback.user': '' } } : { 'silverback.user': user }
}

function isLive(): object {
  return { expires: { $not: { $lte: new Date() } } }
}

function isOver({ expires }: Pick<MongoDocument, 'expires'>): boolean {
  return expires instanceof Date && expires.getTime() <= Date.now()
}
