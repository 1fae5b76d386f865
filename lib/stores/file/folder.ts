import { createHash } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import type { Milliseconds } from '../../base/time'
import { SECOND } from '../../base/time'
import { codeOf, ifThere } from './errors'

// Windows has neither; it also cannot open a link without following it.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** A file's content and times; `foreign` when it is no regular file (a link, a folder, a pipe). */
export type Content = { bytes: Buffer; stats: Stats } | 'foreign'

/** What `hashOf` gives. */
export const HASH = /^[0-9a-f]{64}$/

/** SHA-256 as hex: the name of a file, alike on disks that ignore case. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * The folder of one store. Nobody else than its owner may read it; no link in it is followed; what is in it is
 * replaced as a whole or not at all.
 *
 * The folder itself is made once. If it disappears later, everything fails until somebody brings it back: sessions
 * that silently vanish are worse. What is inside is made again as needed.
 */
export class Folder {
  readonly #root: string
  readonly #durable: boolean
  #made: Promise<unknown> | undefined

  constructor(root: string, durable: boolean) {
    this.#root = root
    this.#durable = durable
  }

  path(...names: string[]): string {
    return join(this.#root, ...names)
  }

  /** Makes the folder, once. Until that has worked it is tried again each time. */
  async open(): Promise<void> {
    this.#made ??= fs.mkdir(this.#root, { recursive: true, mode: FOLDER_MODE })
    try {
      await this.#made
    } catch (err) {
      this.#made = undefined
      throw err
    }
  }

  /** `undefined` when there is no such file. @throws when the folder itself is gone */
  async read(...names: string[]): Promise<Content | undefined> {
    let file: fs.FileHandle
    try {
      // Without O_NONBLOCK a pipe would be waited for.
      file = await fs.open(this.path(...names), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (err) {
      const code = codeOf(err)
      if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') return 'foreign'
      if (code !== 'ENOENT') throw err
      await fs.stat(this.#root)
      return undefined
    }
    try {
      const stats = await file.stat()
      return stats.isFile() ? { bytes: await readAll(file, stats.size), stats } : 'foreign'
    } finally {
      await file.close()
    }
  }

  /** Names in a folder; none when it is not there. @throws when the folder itself is gone */
  async names(...names: string[]): Promise<string[]> {
    const found = await ifThere(fs.readdir(this.path(...names)))
    if (found === undefined) await fs.stat(this.#root)
    return found ?? []
  }

  /** `false` when it was not there. @throws when the folder itself is gone */
  async remove(...names: string[]): Promise<boolean> {
    try {
      await fs.unlink(this.path(...names))
      return true
    } catch (err) {
      if (codeOf(err) !== 'ENOENT') throw err
      await fs.stat(this.#root)
      return false
    }
  }

  /** Sets the mtime. `false` when the file is not there. */
  async touch(names: string[], time: Milliseconds): Promise<boolean> {
    const done = await ifThere(fs.lutimes(this.path(...names), time / SECOND, time / SECOND).then(() => true))
    return done ?? false
  }

  /**
   * Replaces a file by way of a temporary one, which is gone whatever happens.
   *
   * @param ready Runs last before the new content takes effect; nothing does if it throws.
   */
  async replace(names: string[], temp: string, content: string, mtime: Milliseconds, ready: () => void): Promise<void> {
    const temporary = this.path('temp', temp)
    try {
      const file = await this.within('temp', () => fs.open(temporary, 'wx', FILE_MODE))
      try {
        await file.writeFile(content)
        await file.utimes(mtime / SECOND, mtime / SECOND)
        if (this.#durable) await file.sync()
      } finally {
        await file.close()
      }
      ready()
      const [folder, path] = [join(...names.slice(0, -1)), this.path(...names)]
      await this.within(folder, () => fs.rename(temporary, path))
      if (this.#durable) await this.#syncFolder(folder)
    } catch (err) {
      await fs.unlink(temporary).catch(isGone)
      throw err
    }
  }

  /** Runs what needs a folder inside, and makes that folder if it is missing. */
  async within<T>(folder: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      if (codeOf(err) !== 'ENOENT') throw err
    }
    const parts = folder.split(/[\\/]/)
    for (let depth = 1; depth <= parts.length; depth++) {
      await makeFolder(this.path(...parts.slice(0, depth)))
    }
    return work()
  }

  async #syncFolder(folder: string): Promise<void> {
    const handle = await fs.open(this.path(folder), O_RDONLY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await fs.mkdir(path, FOLDER_MODE)
  } catch (err) {
    if (codeOf(err) !== 'EEXIST') throw err
  }
}

async function readAll(file: fs.FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size)
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(bytes, at, size - at, at)
    if (bytesRead === 0) return bytes.subarray(0, at)
    at += bytesRead
  }
  return bytes
}

// It was never made, or it has its place already.
function isGone(): void {}
