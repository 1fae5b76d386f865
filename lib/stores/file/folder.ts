import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import { hashOf as digest } from '../../base/hash'
import { SECOND, type MaybePromise, type Milliseconds } from '../../base/time'
import { codeOf, guarded, ifThere } from './errors'

// Windows has neither; it also cannot open a link without following it.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** What the system says of a link, a folder and a pipe. */
const FOREIGN = new Set(['ELOOP', 'EISDIR', 'ENXIO'])

/** A file that was opened to be read. */
export interface OpenFile {
  /** `undefined` for what is no regular file. */
  bytes: Buffer | undefined
  mtime: Milliseconds
  /** Whether its name still leads to it. While it is open no other file can be taken for it. */
  isStill(): Promise<boolean>
}

/** What `hashOf` gives. */
export const HASH = /^[0-9a-f]{64}$/

/** SHA-256 as hex: the name of a file, alike on disks that ignore case. */
export function hashOf(text: string): string {
  return digest('sha256', text, 'hex')
}

/**
 * The folder of one store. Nobody else than its owner may read it, and no link in it is followed.
 *
 * The folder itself is made once. If it disappears later, everything fails until somebody brings it back: sessions
 * that silently vanish are worse. What is inside is made again as needed.
 */
export class Folder {
  #made: Promise<unknown> | undefined

  constructor(
    private readonly root: string,
    private readonly durable: boolean
  ) {}

  path(...names: string[]): string {
    return join(this.root, ...names)
  }

  /** Works in the folder, which is made once: until that has worked it is tried again each time. */
  use<T>(work: () => Promise<T>): Promise<T> {
    return guarded(async () => {
      this.#made ??= fs.mkdir(this.root, { recursive: true, mode: FOLDER_MODE })
      try {
        await this.#made
      } catch (err) {
        this.#made = undefined
        throw err
      }
      return work()
    })
  }

  /** Reads a file, and keeps it open while it is used. `undefined` when there is none. */
  async read<T>(names: string[], use: (file: OpenFile | undefined) => MaybePromise<T>): Promise<T> {
    let handle: fs.FileHandle
    try {
      // Without O_NONBLOCK a pipe would be waited for.
      handle = await fs.open(this.path(...names), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (err) {
      const code = codeOf(err)
      if (FOREIGN.has(code!)) return use({ bytes: undefined, mtime: 0, isStill: async () => false })
      if (code !== 'ENOENT') throw err
      await this.#check()
      return use(undefined)
    }
    try {
      const stats = await handle.stat({ bigint: true })
      const bytes = stats.isFile() ? await readAll(handle, Number(stats.size)) : undefined
      const isStill = async () => {
        const now = await ifThere(fs.lstat(this.path(...names), { bigint: true }))
        return now?.ino === stats.ino && now.dev === stats.dev
      }
      // Times travel as fractions of a second.
      return await use({ bytes, mtime: Number((stats.mtimeNs + 500_000n) / 1_000_000n), isStill })
    } finally {
      // Nobody need wait for that, and nothing that was read depends on it.
      handle.close().catch(() => undefined)
    }
  }

  /** Names in a folder; none when it is not there. */
  async names(...names: string[]): Promise<string[]> {
    return (await this.#orCheck(fs.readdir(this.path(...names)))) ?? []
  }

  /** `false` when it was not there. */
  async remove(...names: string[]): Promise<boolean> {
    return (await this.#orCheck(fs.unlink(this.path(...names)).then(isDone))) ?? false
  }

  async has(names: string[]): Promise<boolean> {
    return (await ifThere(fs.lstat(this.path(...names)))) !== undefined
  }

  /** Sets the mtime. `false` when the file is not there. */
  async touch(names: string[], time: Milliseconds): Promise<boolean> {
    return (await ifThere(fs.lutimes(this.path(...names), time / SECOND, time / SECOND).then(isDone))) ?? false
  }

  /**
   * Writes a file that is not there yet; none is left if that fails, or if it is swept meanwhile by a process whose clock
   * is ahead of the disk's.
   */
  async write(names: string[], content: string | Buffer, mtime: Milliseconds): Promise<void> {
    const path = this.path(...names)
    const file = await this.within(names, () => fs.open(path, 'wx', FILE_MODE))
    try {
      await file.writeFile(content)
      await this.touch(names, mtime)
      if (this.durable) await file.sync()
    } catch (err) {
      await ifThere(fs.unlink(path))
      throw err
    } finally {
      await file.close()
    }
  }

  /** Gives a file a second name. `false` when that is taken, `undefined` when the file is not there. */
  async link(from: string[], to: string[]): Promise<boolean | undefined> {
    try {
      return await this.#orCheck(this.within(to, () => fs.link(this.path(...from), this.path(...to)).then(isDone)))
    } catch (err) {
      if (codeOf(err) === 'EEXIST') return false
      throw err
    }
  }

  /** Gives a file another name, whatever had that. `false` when the file is not there. */
  async move(from: string[], to: string[]): Promise<boolean> {
    const move = () => fs.rename(this.path(...from), this.path(...to)).then(isDone)
    return (await this.#orCheck(this.within(to, move))) ?? false
  }

  /** Runs what needs the folder of a file, and makes that folder if it is missing. */
  async within<T>(names: string[], work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      if (codeOf(err) !== 'ENOENT') throw err
    }
    for (let depth = 1; depth < names.length; depth++) {
      await fs.mkdir(this.path(...names.slice(0, depth)), FOLDER_MODE).catch((err) => {
        if (codeOf(err) !== 'EEXIST') throw err
      })
    }
    return work()
  }

  /** Waits until the disk has a new name, if what is written is to be durable: names are kept by their folder. */
  async keep(names: string[]): Promise<void> {
    if (!this.durable) return
    const handle = await fs.open(this.path(...names.slice(0, -1)), O_RDONLY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  // What is not there is an answer only as long as the folder itself is.
  async #orCheck<T>(work: Promise<T>): Promise<T | undefined> {
    const done = await ifThere(work)
    if (done === undefined) await this.#check()
    return done
  }

  async #check(): Promise<void> {
    await fs.stat(this.root)
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

function isDone(): true {
  return true
}
