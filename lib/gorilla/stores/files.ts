import { tmpdir } from 'node:os'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import type { Milliseconds } from '../../base/time'
import { guarded } from '../../stores/file/errors'
import { Folder, type OpenFile } from '../../stores/file/folder'
import { Versions, type Change } from '../../stores/file/versions'
import { demandBacking, type Shelf, type Shelved } from './shelf'

const SAFE = /^[A-Za-z0-9_-]{1,128}$/

/**
 * Records in the folder of FilesystemStore. A file is replaced as a whole, so that Go never reads half of one, and as
 * those of FileStore are; Go's own writers ask nobody.
 */
export class FilesShelf implements Shelf {
  readonly remote = false
  readonly #folder: GoFolder
  readonly #versions: Versions<Buffer>

  constructor(folder: unknown) {
    demandBacking(typeof folder === 'string', 'filesystem', 'the path of a folder', folder)
    this.#folder = new GoFolder(folder === '' ? tmpdir() : folder, false)
    this.#versions = new Versions(this.#folder, {
      placeOf,
      claimOf: (id, version) => [`.silverback-claim-${id}-${version}`],
      tempOf: (id, version) => [`.silverback-${id}-${version}`],
      tagOf: digest,
      encode: (content) => ({ tag: digest(content), content, mtime: Date.now() })
    })
  }

  read(id: string): Promise<Shelved | null> {
    return guarded(async () => {
      if (!SAFE.test(id)) return null
      const raw = await this.#folder.read(placeOf(id), (file) => file?.bytes)
      return raw === undefined ? null : { raw, version: digest(raw) }
    })
  }

  create(id: string, raw: Buffer): Promise<boolean> {
    return this.#change(id, undefined, raw)
  }

  replace(id: string, raw: Buffer, _end: Milliseconds | null, version: string): Promise<boolean> {
    return this.#change(id, version, raw)
  }

  remove(id: string, version: string | null = null): Promise<boolean> {
    return this.#change(id, version, 'remove')
  }

  versionOf(raw: Buffer): string {
    return digest(raw)
  }

  /** @param version what it must be; `null`: any */
  #change(id: string, version: string | null | undefined, change: Buffer | 'remove'): Promise<boolean> {
    return guarded(async () => {
      if (!SAFE.test(id)) throw new SessionError('ERR_SESSION_OPTION', 'The session ID cannot be part of a file name.')
      let done = false
      await this.#versions.change(id, (file): Change<Buffer> => {
        const present = file && (file.bytes === undefined ? '' : digest(file.bytes))
        done = version === null ? Boolean(present) : present === version
        return done ? change : 'leave'
      })
      return done
    })
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

function digest(raw: Buffer): string {
  return hashOf('sha1', raw, 'hex')
}
