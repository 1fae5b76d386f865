import fs from 'node:fs/promises'
import { resolve } from 'node:path'
import { POWERS } from '../../store/contract'
import { FLAG, checkOptions, isFilled, optional, SERIALIZER, TIMER_SPAN } from '../option-rules'
import type { Rule, Serializer } from '../option-rules'
import { changed } from '../change'
import { RecordStore } from '../record-store'
import { SharedSweeper } from '../sweeper'
import { isAboveZero } from '../../base/errors'
import { DAY, MINUTE, type Milliseconds } from '../../base/time'
import { ifThere } from './errors'
import { Folder } from './folder'
import { leasesIn } from './leases'
import { filePowers, type FilePowers, type Files } from './powers'
import { recordsIn } from './records'
import { usersIn } from './users'

export interface FileStoreOptions {
  /** Folder of the sessions, made if missing: on a local file system, and for this store alone. */
  path: string
  /**
   * How long to keep a session whose cookie has no expiry, for `set` and `touch`. The middleware of `sessions()` sets
   * the time itself.
   * Above 0. @default 86_400_000
   */
  ttl?: Milliseconds
  /**
   * Span between two sweeps that remove expired sessions. Processes on one folder share the work.
   * 1 to 2^31 - 1. @default 600_000
   */
  sweepEvery?: Milliseconds
  /** Turns records into text and back, to encrypt them at rest, say. @default JSON */
  serializer?: Serializer
  /**
   * Waits until the disk has it before a write is confirmed. Without, a write survives the end of the process, but
   * the last seconds' writes may be lost in a power cut.
   * @default false
   */
  durable?: boolean
}

const RULES: Record<keyof FileStoreOptions, Rule> = {
  path: ['the path of a folder', isFilled],
  ttl: optional('milliseconds above 0', isAboveZero),
  sweepEvery: TIMER_SPAN,
  serializer: SERIALIZER,
  durable: FLAG
}

/** Its mtime tells the processes on one folder when it was swept. */
const STAMP = 'swept'

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
  readonly #sweeper: SharedSweeper

  /** @throws {OptionError} for an option out of its limits. */
  constructor(options: FileStoreOptions) {
    const given = checkOptions('FileStore', options, RULES)
    const { path, ttl = DAY, sweepEvery = 10 * MINUTE, serializer = JSON, durable = false } = given
    const folder = new Folder(resolve(path), Boolean(durable))
    const records = recordsIn(folder, serializer)
    const files = { folder, records, users: usersIn(folder, records), leases: leasesIn(folder) }
    super(filePowers(files, ttl))
    this.#files = files
    this.#sweeper = new SharedSweeper('FileStore', sweepEvery, (span) => this.#turn(span))
  }

  /** When the folder was last swept, by whichever process. */
  get lastCleanup(): Milliseconds | undefined {
    return this.#sweeper.finishedAt
  }

  /** Removes what is over right now, instead of at the next turn of the timer: for a job of your own. */
  sweep(): Promise<void> {
    return this.#sweeper.run(() => this.#files.folder.use(() => this.#sweep()))
  }

  /** Stops sweeping, for good, and waits for what is under way. What is kept stays. */
  async close(): Promise<void> {
    await this.#sweeper.close()
    await changed(this)
    await this.#files.records.versions.idle()
    await this.#files.leases.versions.idle()
  }

  async #turn(span: Milliseconds): Promise<void> {
    const sweptAt = (await ifThere(fs.lstat(this.#files.folder.path(STAMP))))?.mtimeMs
    if (sweptAt !== undefined && Math.abs(Date.now() - sweptAt) < span) this.#sweeper.finishedAt = sweptAt
    else await this.sweep()
  }

  async #sweep(): Promise<void> {
    const { folder, records, users, leases } = this.#files
    const isOn = () => !this.#sweeper.closed
    await this[POWERS].sweep(isOn)
    await users.sweep(isOn)
    await leases.sweep(isOn)
    for (const { versions } of [records, leases]) if (isOn()) await versions.sweep()
    await records.trimQuarantine()
    if (!isOn()) return
    const sweptAt = (this.#sweeper.finishedAt = Date.now())
    if (await folder.touch([STAMP], sweptAt)) return
    await fs.writeFile(folder.path(STAMP), '', { mode: 0o600, flag: 'wx' }).catch(() => undefined)
    await folder.touch([STAMP], sweptAt)
  }
}
