import { AsyncResource } from 'node:async_hooks'
import fs from 'node:fs/promises'
import type { Milliseconds } from '../../base/time'
import { guarded, ifThere } from './errors'
import type { Folder } from './folder'
import type { Holders } from './holders'
import type { Leases } from './leases'
import type { FilePowers } from './powers'
import { CORRUPT, isLive, type Records } from './records'
import type { Users } from './users'

/** What a sweep goes through. */
export interface Swept {
  folder: Folder
  holders: Holders
  records: Records
  users: Users
  leases: Leases
  powers: FilePowers
}

const STAMP = 'swept'
/** Processes on one folder take turns: not all of them at the same moment, and none soon after another. */
const JITTER = 0.2

/** Removes what is over: expired sessions, and whatever killed processes have left. One file at a time. */
export class FileSweeper {
  /** When the folder was last swept through, by whichever process. */
  finishedAt: Milliseconds | undefined
  readonly #swept: Swept
  readonly #every: Milliseconds
  // In the store's own context, not in that of a request that happened to make the store.
  readonly #context = new AsyncResource('silverback.FileStore')
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(swept: Swept, every: Milliseconds) {
    this.#swept = swept
    this.#every = every
    this.#context.runInAsyncScope(() => this.#arm())
  }

  /** Sweeps through everything, now; joins a sweep under way. */
  sweep(): Promise<void> {
    this.#running ??= this.#sweep().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Stops, and waits until a sweep under way has come to rest. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    // Its fault is that of whoever asked for it.
    await this.#running?.catch(isTheirs)
  }

  #arm(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#turn(), this.#every * (1 - JITTER / 2 + JITTER * Math.random()))
    this.#timer.unref()
  }

  async #turn(): Promise<void> {
    try {
      const sweptAt = await this.#lastSweep()
      if (sweptAt !== undefined && Math.abs(Date.now() - sweptAt) < this.#every * (1 - JITTER))
        this.finishedAt = sweptAt
      else await this.sweep()
    } catch {
      // A fault of the folder reaches every request that needs it. The next turn tries again.
    }
    this.#arm()
  }

  #sweep(): Promise<void> {
    return guarded(async () => {
      const { folder, holders, leases, records } = this.#swept
      const isOn = () => !this.#closed
      await folder.open()
      await holders.sweep(isOn)
      await this.#sweepRecords()
      await this.#sweepUsers()
      await leases.sweep(isOn)
      await records.sweepTemps()
      await records.trimQuarantine()
      if (this.#closed) return
      this.finishedAt = Date.now()
      if (!(await folder.touch([STAMP], this.finishedAt))) {
        await fs.writeFile(folder.path(STAMP), '', { mode: 0o600, flag: 'wx' }).catch(anotherDid)
        await folder.touch([STAMP], this.finishedAt)
      }
    })
  }

  async #sweepRecords(): Promise<void> {
    const { records, powers } = this.#swept
    for await (const hash of records.hashes()) {
      if (this.#closed) return
      const kept = await records.find(hash)
      if (kept === undefined || kept === CORRUPT || isLive(kept)) continue
      await powers.erase(hash, (now) => !isLive(now))
    }
  }

  async #sweepUsers(): Promise<void> {
    const { records, users, powers } = this.#swept
    for await (const { folder, session } of users.entries()) {
      if (this.#closed) return
      if (!(await records.exists(session))) await powers.dropEntry(folder, session)
    }
  }

  async #lastSweep(): Promise<Milliseconds | undefined> {
    return (await ifThere(fs.lstat(this.#swept.folder.path(STAMP))))?.mtimeMs
  }
}

function isTheirs(): void {}

function anotherDid(): void {}
