import { resolve } from 'node:path'
import {
  answer,
  declareNative,
  POWERS,
  type Callback,
  type Life,
  type Powers,
  type SessionRecord
} from '../../store/contract'
import { OptionError, quote } from '../../base/errors'
import { META, withUsedAt } from '../../record/record'
import { Store } from '../../store/store'
import { DAY, MINUTE, type Milliseconds } from '../../base/time'
import { guarded } from './errors'
import { Folder, hashOf } from './folder'
import { Holders } from './holders'
import { Leases } from './leases'
import { Mutex } from './mutex'
import { FilePowers } from './powers'
import { Records, type FileSerializer, type Kept } from './records'
import { FileSweeper } from './sweeper'
import { Users } from './users'

export interface FileStoreOptions {
  /** Folder of the sessions, made if missing: on a local file system, and for this store alone. */
  path: string
  /**
   * How long to keep a session whose cookie has no expiry, for `set` and `touch`. The middleware of `sessions()` sets
   * the time itself.
   *
   * Above 0.
   * @default 86_400_000
   */
  ttl?: Milliseconds
  /**
   * Span between two sweeps that remove expired sessions. Processes on one folder share the work.
   *
   * 1 to 2^31 - 1.
   * @default 600_000
   */
  sweepEvery?: Milliseconds
  /**
   * Turns records into text and back, to encrypt them at rest, say.
   *
   * @default JSON
   */
  serializer?: FileSerializer
  /**
   * Waits until the disk has it before a write is confirmed. Without, a write survives the end of the process, but
   * the last seconds' writes may be lost in a power cut.
   *
   * @default false
   */
  durable?: boolean
}

const MAX_TIMER = 2 ** 31 - 1

/**
 * Keeps each session in a file of its own, for one machine: survives restarts, and is shared by any number of processes.
 *
 * Files are replaced as a whole, and named by a hash of the session ID. They are readable by their owner alone (mode
 * 0600, folders 0700). What is no session is moved to the folder `quarantine` and answered as absent.
 *
 * @example
 * app.use(sessions({ secret, store: new FileStore({ path: '/var/lib/app/sessions' }) }))
 */
export class FileStore extends Store {
  declare readonly [POWERS]: Powers
  readonly #folder: Folder
  readonly #holders: Holders
  readonly #mutex: Mutex
  readonly #records: Records
  readonly #powers: FilePowers
  readonly #sweeper: FileSweeper
  readonly #ttl: Milliseconds

  /** @throws {OptionError} for an option out of its limits. */
  constructor(options: FileStoreOptions) {
    super()
    const { path, ttl, sweepEvery, serializer, durable } = checked(options)
    this.#ttl = ttl
    const folder = (this.#folder = new Folder(resolve(path), durable))
    const holders = (this.#holders = new Holders(folder))
    const mutex = (this.#mutex = new Mutex(folder, holders))
    const records = (this.#records = new Records(folder, mutex, holders, serializer))
    const users = new Users(folder)
    const leases = new Leases(folder, mutex, holders, records)
    const powers = (this.#powers = new FilePowers(folder, mutex, records, users, leases))
    this.#sweeper = new FileSweeper({ folder, holders, records, users, leases, powers }, sweepEvery)
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: powers })
  }

  /** When the folder was last swept, by whichever process. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  get(id: string, callback?: Callback<any>): Promise<SessionRecord | null> | undefined {
    return answer(
      () =>
        this.#guarded(async () => {
          const kept = await this.#powers.find(hashOf(id))
          return kept === undefined ? null : this.#parse(kept)
        }),
      callback
    )
  }

  /** Keeps a session, whatever was kept before. One that is over already is removed instead. */
  set(id: string, session: any, callback?: Callback<any>): Promise<null> | undefined {
    return answer(async () => {
      const text = JSON.stringify(session) as string | undefined
      const life = this.#lifeOf(session)
      // JSON.stringify(undefined): nothing to keep.
      if (text === undefined || (life.expiresAt ?? Infinity) <= life.usedAt) await this.#powers.remove(id)
      else await this.#powers.put(id, text, life, session?.[META]?.i)
      return null
    }, callback)
  }

  destroy(id: string, callback?: Callback<any>): Promise<null> | undefined {
    return answer(async () => {
      await this.#powers.remove(id)
      return null
    }, callback)
  }

  /** Replaces the cookie of a session, and with it the expiry; does nothing when there is no such session. */
  override touch(id: string, session: any, callback?: Callback<any>): Promise<null> | undefined {
    return answer(async () => {
      const cookieText = JSON.stringify(session?.cookie) as string | undefined
      const life = this.#lifeOf(session)
      if (!session?.cookie?.expires) {
        // Ours expire also where the cookie does not: idle time is counted, whatever the browser keeps.
        const found = await this.#powers.read(id)
        if (found?.text.includes(`"${META}":`)) life.expiresAt = found.expiresAt ?? null
      }
      await this.#powers.extend(id, cookieText === undefined ? life : { ...life, cookieText })
      return null
    }, callback)
  }

  /** Every live session by ID, in an object without prototype. */
  override all(callback?: Callback<any>): Promise<Record<string, SessionRecord>> | undefined {
    return answer(async () => {
      const records: Record<string, SessionRecord> = Object.create(null)
      const found: Kept[] = []
      await this.#powers.each((kept) => found.push(kept))
      for (const kept of found) {
        const record = await this.#parse(kept)
        if (record !== null) records[kept.id] = record
      }
      return records
    }, callback)
  }

  /** The IDs of all live sessions. */
  ids(callback?: Callback<any>): Promise<string[]> | undefined {
    return answer(() => this.#ids(), callback)
  }

  /** How many sessions are live. */
  override length(callback?: Callback<any>): Promise<number> | undefined {
    return answer(async () => (await this.#ids()).length, callback)
  }

  override clear(callback?: Callback<any>): Promise<null> | undefined {
    return answer(async () => {
      await this.#powers.clear()
      return null
    }, callback)
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    return this.#sweeper.sweep()
  }

  /** Stops sweeping, for good, and waits for what is under way. What is kept stays. */
  async close(): Promise<void> {
    await this.#sweeper.close()
    await this.#mutex.idle()
    await guarded(() => this.#holders.leave())
  }

  async #ids(): Promise<string[]> {
    const ids: string[] = []
    await this.#powers.each(({ id }) => ids.push(id))
    return ids
  }

  async #parse({ id, text, body, usedAt }: Kept): Promise<SessionRecord | null> {
    try {
      return JSON.parse(withUsedAt(text, usedAt))
    } catch {
      if (text !== '') await this.#records.quarantine(hashOf(id), body)
      return null
    }
  }

  #lifeOf(session: any): Life {
    const usedAt = Date.now()
    const { expires } = session?.cookie ?? {}
    const time = expires ? new Date(expires).getTime() : NaN
    return { usedAt, expiresAt: Number.isNaN(time) ? usedAt + this.#ttl : time }
  }

  #guarded<T>(work: () => Promise<T>): Promise<T> {
    return guarded(async () => {
      await this.#folder.open()
      return work()
    })
  }
}

declareNative(FileStore)

function checked(options: FileStoreOptions): Required<FileStoreOptions> {
  const { path, ttl = DAY, sweepEvery = 10 * MINUTE, serializer = JSON, durable = false } = options ?? {}
  if (typeof path !== 'string' || path === '') {
    throw new OptionError(`FileStore: \`path\` must be the path of a folder, got ${quote(path)}`)
  }
  if (!(Number.isFinite(ttl) && ttl > 0)) {
    throw new OptionError(`FileStore: \`ttl\` must be milliseconds above 0, got ${quote(ttl)}`)
  }
  if (!(typeof sweepEvery === 'number' && sweepEvery >= 1 && sweepEvery <= MAX_TIMER)) {
    throw new OptionError(
      `FileStore: \`sweepEvery\` must be milliseconds from 1 to ${MAX_TIMER}, got ${quote(sweepEvery)}`
    )
  }
  if (typeof serializer?.parse !== 'function' || typeof serializer.stringify !== 'function') {
    throw new OptionError('FileStore: `serializer` must have the methods `parse` and `stringify`')
  }
  return { path, ttl, sweepEvery, serializer, durable: Boolean(durable) }
}
