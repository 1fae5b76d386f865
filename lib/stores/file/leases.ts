import type { LockPower } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import { guarded, ifThere } from './errors'
import { hashOf, type Folder } from './folder'
import type { Holders } from './holders'
import type { Check, Mutex } from './mutex'
import type { Records } from './records'
import fs from 'node:fs/promises'

interface Lease {
  token: string
  holder: string
  until: Milliseconds
}

/**
 * Locks held for as long as applications work on a session: a file each, its mtime the end of the lock.
 *
 * A lock ends when its time is up, or at once when the process that took it is found dead.
 */
export class Leases implements LockPower {
  readonly #folder: Folder
  readonly #mutex: Mutex
  readonly #holders: Holders
  readonly #records: Records

  constructor(folder: Folder, mutex: Mutex, holders: Holders, records: Records) {
    this.#folder = folder
    this.#mutex = mutex
    this.#holders = holders
    this.#records = records
  }

  acquire(id: string, token: string, ttl: Milliseconds): Promise<boolean> {
    const name = hashOf(id)
    return this.#guarded(async () => {
      // Who waits asks again and again: the mutex is only for those with a chance.
      if (await this.#isOthers(name, token)) return false
      return this.#alone(name, async (check) => {
        if (await this.#isOthers(name, token)) return false
        const content = JSON.stringify({ token, holder: await this.#holders.self() })
        const temp = await this.#records.tempName()
        await this.#folder.replace(['leases', name], temp, content, Date.now() + ttl, check)
        return true
      })
    })
  }

  renew(id: string, token: string, ttl: Milliseconds): Promise<boolean> {
    const name = hashOf(id)
    return this.#guarded(() =>
      this.#alone(name, async () => {
        const lease = await this.#read(name)
        if (lease?.token !== token || lease.until <= Date.now()) return false
        return this.#folder.touch(['leases', name], Date.now() + ttl)
      })
    )
  }

  release(id: string, token: string): Promise<void> {
    const name = hashOf(id)
    return this.#guarded(() =>
      this.#alone(name, async () => {
        if ((await this.#read(name))?.token === token) await this.#folder.remove('leases', name)
      })
    )
  }

  /** Removes what nobody holds any more. */
  async sweep(isOn: () => boolean): Promise<void> {
    for (const name of await this.#folder.names('leases')) {
      if (!isOn()) return
      if (await this.#isOthers(name)) continue
      await this.#alone(name, async () => {
        if (!(await this.#isOthers(name))) await ifThere(fs.unlink(this.#folder.path('leases', name)))
      })
    }
  }

  async #isOthers(name: string, token?: string): Promise<boolean> {
    const lease = await this.#read(name)
    if (lease === undefined || lease.token === token || lease.until <= Date.now()) return false
    return (await this.#holders.lives(lease.holder)) !== false
  }

  // What is no lease holds nobody up.
  async #read(name: string): Promise<Lease | undefined> {
    const content = await this.#folder.read('leases', name)
    if (content === undefined || content === 'foreign') return undefined
    try {
      const { token, holder } = JSON.parse(content.bytes.toString())
      return { token, holder: String(holder), until: Math.round(content.stats.mtimeMs) }
    } catch {
      return undefined
    }
  }

  #alone<T>(name: string, work: (check: Check) => Promise<T>): Promise<T> {
    return this.#mutex.run(`lease-${name}`, work)
  }

  #guarded<T>(work: () => Promise<T>): Promise<T> {
    return guarded(async () => {
      await this.#folder.open()
      return work()
    })
  }
}
