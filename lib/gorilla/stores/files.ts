import { tmpdir } from 'node:os'
import { SessionError } from '../../base/errors'
import { HOUR, type Milliseconds } from '../../base/time'
import { guarded } from '../../stores/file/errors'
import { Folder, type OpenFile } from '../../stores/file/folder'
import { Versions, type Change } from '../../stores/file/versions'
import { demandBacking, digestOf, type Shelf } from './shelf'

const SAFE = /^[A-Za-z0-9_-]{1,128}$/

/**
 * Records in the folder of FilesystemStore. A file is replaced as a whole, so that Go never reads half of one, and as
 * those of FileStore are; Go's own writers ask nobody.
 */
export function filesShelf(given: unknown): Shelf {
  demandBacking(typeof given === 'string', 'filesystem', 'the path of a folder', given)
  const folder = new GoFolder(given === '' ? tmpdir() : given, false)
  const versions = new Versions<Buffer>(folder, {
    temps: { folder: [], named: /^\.silverback-(?!claim-).*-[0-9a-f]{40}$/ },
    claims: { folder: [], named: /^\.silverback-claim-(.*)-([0-9a-f]{40})$/ },
    placeOf,
    claimOf: (id, version) => [`.silverback-claim-${id}-${version}`],
    tempOf: (id, version) => [`.silverback-${id}-${version}`],
    tagOf: digestOf,
    encode: (content) => ({ tag: digestOf(content), content, mtime: Date.now() })
  })
  let sweptAt = -Infinity
  // Nobody waits for that, nor misses it: what has stayed of processes that were killed is in nobody's way.
  const sweep = (now: Milliseconds) => {
    if (Math.abs(now - sweptAt) < HOUR) return
    sweptAt = now
    versions.sweep().catch(() => undefined)
  }
  const change = (id: string, isMeant: (version: string | null) => boolean, next: Buffer | 'remove') =>
    guarded(async () => {
      if (!SAFE.test(id)) throw new SessionError('ERR_SESSION_OPTION', 'The session ID cannot be part of a file name.')
      sweep(Date.now())
      let done = false
      await versions.change(id, (file): Change<Buffer> => {
        // What is no file has none.
        const version = file === undefined ? null : file.bytes === undefined ? '' : digestOf(file.bytes)
        done = isMeant(version)
        return done ? next : 'leave'
      })
      return done
    })
  return {
    remote: false,
    read: (id) =>
      guarded(async () => {
        if (!SAFE.test(id)) return null
        const raw = await folder.read(placeOf(id), (file) => file?.bytes)
        return raw === undefined ? null : { raw, version: digestOf(raw) }
      }),
    write: (id, raw, _end, version) => change(id, (present) => present === version, raw),
    remove: (id, version) =>
      change(id, (present) => (version === undefined ? Boolean(present) : present === version), 'remove'),
    versionOf: digestOf
  }
}

/** Go writes into the file that is there: whether it is still the same, its content tells. */
class GoFolder extends Folder {
  override read<T>(names: string[], use: (file: OpenFile | undefined) => T | Promise<T>): Promise<T> {
    return super.read(names, (file) => {
      const isStill = () => super.read(names, (now) => now?.bytes !== undefined && now.bytes.equals(file!.bytes!))
      return use(file && { ...file, isStill })
    })
  }
}

function placeOf(id: string): string[] {
  return [`session_${id}`]
}
