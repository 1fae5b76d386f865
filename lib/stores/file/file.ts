import fs from 'node:fs/promises'
import { resolve } from 'node:path'
import { POWERS } from '../../store/contract'
import { RecordStore } from '../../store/record-store'
import { Sweeper } from '../../store/sweeper'
import { demand, isAboveZero, OptionError } from '../../base/errors'
import { DAY, MINUTE, type Milliseconds } from '../../base/time'
import { guarded, ifThere } from './errors'
import { Folder } from './folder'
import { Leases } from './leases'
import { FilePowers, type Files } from './powers'
import { Records, type FileSerializer } from './records'
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
const STAMP = 'swept'
/** Processes on one folder take turns: not all of them at the same moment, and none soon after another. */
const JITTER = 0.2

/**
 * Keeps each session in a file of its own, for one machine: survives restarts, and is shared by any number of processes.
 *
 * Files are replaced as a whole, and named by a hash of the session ID. They are readable by their owner alone (mode
 * 0600, folders 0700). What is no session is moved to the folder `quarantine` and answered as absent.
 *
 * @example
 * app.use(sessions({ secret, store: new FileStore({ path: '/var/lib/app/sessions' }) }))
 */
export class FileStore extends RecordStore {
  declare readonly [POWERS]: FilePowers
  readonly #files: Files
  readonly #sweeper: Sweeper
  #sweptAt: Milliseconds | undefined
  #sweeping: Promise<void> | undefined

  /** @throws {OptionError} for an option out of its limits. */
  constructor(options: FileStoreOptions) {
    super()
    const { path, ttl, sweepEvery, serializer, durable } = checked(options)
    const folder = new Folder(resolve(path), durable)
    const records = new Records(folder, serializer)
    this.#files = { folder, records, users: new Users(folder, records), leases: new Leases(folder) }
    // Not enumerable, as the methods: a store may be logged.
    Object.defineProperty(this, POWERS, { value: new FilePowers(this.#files, ttl) })
    const every = () => sweepEvery * (1 - JITTER / 2 + JITTER * Math.random())
    this.#sweeper = new Sweeper('FileStore', every, () => this.#turn(sweepEvery * (1 - JITTER)))
    this.#sweeper.arm()
  }

  /** When the folder was last swept, by whichever process. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweptAt
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    this.#sweeping ??= guarded(() => this.#sweep()).finally(() => (this.#sweeping = undefined))
    return this.#sweeping
  }

  /** Stops sweeping, for good, and waits for what is under way. What is kept stays. */
  async close(): Promise<void> {
    await this.#sweeper.close()
    // Its fault is that of whoever asked for it.
    await this.#sweeping?.catch(isTheirs)
    await this.#files.records.versions.idle()
    await this.#files.leases.versions.idle()
  }

  async #turn(pause: Milliseconds): Promise<void> {
    this.#sweeper.arm()
    try {
      const sweptAt = (await ifThere(fs.lstat(this.#files.folder.path(STAMP))))?.mtimeMs
      if (sweptAt !== undefined && Math.abs(Date.now() - sweptAt) < pause) this.#sweptAt = sweptAt
      else await this.sweep()
    } catch {
      // A fault of the folder reaches every request that needs it. The next turn tries again.
    }
  }

  async #sweep(): Promise<void> {
    const { folder, records, users, leases } = this.#files
    const isOn = () => !this.#sweeper.closed
    await folder.open()
    await this[POWERS].sweep(isOn)
    await users.sweep(isOn)
    await leases.sweep(isOn)
    for (const { versions } of [records, leases]) if (isOn()) await versions.sweep()
    await records.trimQuarantine()
    if (!isOn()) return
    this.#sweptAt = Date.now()
    if (await folder.touch([STAMP], this.#sweptAt)) return
    await fs.writeFile(folder.path(STAMP), '', { mode: 0o600, flag: 'wx' }).catch(isTheirs)
    await folder.touch([STAMP], this.#sweptAt)
  }
}

function checked(options: FileStoreOptions): Required<FileStoreOptions> {
  const { path, ttl = DAY, sweepEvery = 10 * MINUTE, serializer = JSON, durable = false } = options ?? {}
  demand(typeof path === 'string' && path !== '', 'FileStore', 'path', 'the path of a folder', path)
  demand(isAboveZero(ttl), 'FileStore', 'ttl', 'milliseconds above 0', ttl)
  const isSpan = typeof sweepEvery === 'number' && sweepEvery >= 1 && sweepEvery <= MAX_TIMER
  demand(isSpan, 'FileStore', 'sweepEvery', `milliseconds from 1 to ${MAX_TIMER}`, sweepEvery)
  if (typeof serializer?.parse !== 'function' || typeof serializer.stringify !== 'function') {
    throw new OptionError('FileStore: `serializer` must have the methods `parse` and `stringify`')
  }
  return { path, ttl, sweepEvery, serializer, durable: Boolean(durable) }
}

function isTheirs(): void {}
