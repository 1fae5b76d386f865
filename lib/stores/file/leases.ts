import fs from 'node:fs/promises'
import type { LockPower } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import { hashOf, type Folder, type OpenFile } from './folder'
import { decodeFile, expiryOf, type Draft } from './format'
import { SweptVersions } from './swept-versions'
import type { Change } from './versions'

/** Locks held while an application works on a session: a file each, that says who holds it and for how long. */
export class Leases implements LockPower {
  readonly versions: SweptVersions
  readonly #folder: Folder

  constructor(folder: Folder) {
    this.#folder = folder
    this.versions = new SweptVersions(folder, 'lease-claims', placeOf)
  }

  acquire(id: string, token: string, ttl: Milliseconds): Promise<boolean> {
    return this.#take(id, token, ttl, (holder) => holder === undefined || holder === token)
  }

  renew(id: string, token: string, ttl: Milliseconds): Promise<boolean> {
    return this.#take(id, token, ttl, (holder) => holder === token)
  }

  release(id: string, token: string): Promise<void> {
    const end = (file: OpenFile | undefined) => (holderOf(file) === token ? 'remove' : 'leave')
    return this.#folder.use(() => this.versions.change(hashOf(id), end))
  }

  /** Removes those whose time is over. */
  async sweep(isOn: () => boolean): Promise<void> {
    for (const name of await this.#folder.names('leases')) {
      if (!isOn()) return
      await this.versions.change(name, (file) => (holderOf(file) === undefined ? 'remove' : 'leave'))
    }
  }

  async #take(id: string, body: string, span: number, isFree: (holder?: string) => boolean): Promise<boolean> {
    let taken = false
    const change = async (file: OpenFile | undefined): Promise<Change<Draft>> => {
      // A link, say: it holds nobody up.
      if (file !== undefined && file.bytes === undefined) {
        await fs.rm(this.#folder.path(...placeOf(hashOf(id))), { recursive: true, force: true })
        return 'again'
      }
      taken = isFree(holderOf(file))
      return taken ? { id, span, until: null, user: undefined, body, usedAt: Date.now() } : 'leave'
    }
    await this.#folder.use(() => this.versions.change(hashOf(id), change))
    return taken
  }
}

function placeOf(hash: string): string[] {
  return ['leases', hash]
}

// What is no lease, or over, holds nobody up.
function holderOf(file: OpenFile | undefined): string | undefined {
  const lease = file?.bytes && decodeFile(file.bytes)
  return lease !== undefined && expiryOf(lease.header, file!.mtime)! > Date.now() ? lease.body : undefined
}
