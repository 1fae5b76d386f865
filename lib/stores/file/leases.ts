import fs from 'node:fs/promises'
import type { LockPower } from '../../store/contract'
import { hashOf, type Folder, type OpenFile } from './folder'
import { decodeFile, draftVersions, expiryOf, type Draft } from './format'
import type { Change, Versions } from './versions'

export interface Leases extends LockPower {
  readonly versions: Versions<Draft>
  /** Removes those whose time is over. */
  sweep(isOn: () => boolean): Promise<void>
}

/** Locks held while an application works on a session: a file each, that says who holds it and for how long. */
export function leasesIn(folder: Folder): Leases {
  const versions = draftVersions(folder, 'lease-claims', placeOf)
  const take = async (id: string, body: string, span: number, isFree: (holder?: string) => boolean) => {
    let taken = false
    const change = async (file: OpenFile | undefined): Promise<Change<Draft>> => {
      // A link, say: it holds nobody up.
      if (file !== undefined && file.bytes === undefined) {
        await fs.rm(folder.path(...placeOf(hashOf(id))), { recursive: true, force: true })
        return 'again'
      }
      taken = isFree(holderOf(file))
      return taken ? { id, span, until: null, user: undefined, body, usedAt: Date.now() } : 'leave'
    }
    await folder.use(() => versions.change(hashOf(id), change))
    return taken
  }
  return {
    versions,
    acquire: (id, token, ttl) => take(id, token, ttl, (holder) => holder === undefined || holder === token),
    renew: (id, token, ttl) => take(id, token, ttl, (holder) => holder === token),
    release(id, token) {
      const end = (file: OpenFile | undefined) => (holderOf(file) === token ? 'remove' : 'leave')
      return folder.use(() => versions.change(hashOf(id), end))
    },
    async sweep(isOn) {
      for (const name of await folder.names('leases')) {
        if (!isOn()) return
        await versions.change(name, (file) => (holderOf(file) === undefined ? 'remove' : 'leave'))
      }
    }
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
