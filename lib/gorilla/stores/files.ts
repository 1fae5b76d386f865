import fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SessionError } from '../../base/errors'
import { hashOf } from '../../base/hash'
import { randomId } from '../../base/ids'
import { SECOND, type Milliseconds } from '../../base/time'
import { KeyedQueue } from '../../store/keyed-queue'
import { codeOf, guarded, ifThere } from '../../stores/file/errors'
import { demandBacking, type Shelf, type Shelved } from './shelf'

const FILE_MODE = 0o600
const PAUSE: Milliseconds = 5
const WAIT_MAX: Milliseconds = 10 * SECOND
const SAFE = /^[A-Za-z0-9_-]{1,128}$/

/**
 * Records in the folder of FilesystemStore. A file is replaced as a whole, so that Go never reads half of one; writers
 * of this package take turns, also across processes. Go's own writers ask nobody.
 */
export class FilesShelf implements Shelf {
  readonly remote = false
  readonly #folder: string
  readonly #queue = new KeyedQueue()

  constructor(folder: unknown) {
    demandBacking(typeof folder === 'string', 'filesystem', 'the path of a folder', folder)
    this.#folder = folder === '' ? tmpdir() : folder
  }

  read(id: string): Promise<Shelved | null> {
    return guarded(() => this.#look(id))
  }

  create(id: string, raw: Buffer): Promise<boolean> {
    return this.#alone(id, async () => {
      if ((await this.#look(id)) !== null) return false
      await this.#put(id, raw)
      return true
    })
  }

  replace(id: string, raw: Buffer, _end: Milliseconds | null, version: string): Promise<boolean> {
    return this.#alone(id, async () => {
      if ((await this.#look(id))?.version !== version) return false
      await this.#put(id, raw)
      return true
    })
  }

  remove(id: string, version?: string): Promise<boolean> {
    return this.#alone(id, async () => {
      if (version !== undefined && (await this.#look(id))?.version !== version) return false
      return (await ifThere(fs.unlink(this.#pathOf(id)).then(() => true))) ?? false
    })
  }

  versionOf(raw: Buffer): string {
    return hashOf('sha1', raw, 'hex')
  }

  async #look(id: string): Promise<Shelved | null> {
    if (!SAFE.test(id)) return null
    const raw = await ifThere(fs.readFile(this.#pathOf(id)))
    return raw === undefined ? null : { raw, version: this.versionOf(raw) }
  }

  async #put(id: string, raw: Buffer): Promise<void> {
    const temp = join(this.#folder, `.silverback-${randomId()}`)
    try {
      await fs.writeFile(temp, raw, { mode: FILE_MODE, flag: 'wx' })
      await fs.rename(temp, this.#pathOf(id))
    } catch (err) {
      await fs.unlink(temp).catch(() => undefined)
      throw err
    }
  }

  #pathOf(id: string): string {
    return join(this.#folder, `session_${id}`)
  }

  #alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.#queue.take(id, () => guarded(() => this.#locked(id, work))) as Promise<T>
  }

  // A lock that is older than any write takes was left behind by a process that is no more.
  async #locked<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (!SAFE.test(id)) throw new SessionError('ERR_SESSION_OPTION', 'The session ID cannot be part of a file name.')
    const lock = join(this.#folder, `.silverback-lock-${id}`)
    for (const since = Date.now(); !(await taken(lock));) {
      const stats = await ifThere(fs.stat(lock))
      if (stats !== undefined && Math.abs(Date.now() - stats.mtimeMs) > WAIT_MAX)
        await fs.unlink(lock).catch(() => undefined)
      else if (Math.abs(Date.now() - since) > WAIT_MAX) {
        throw new SessionError('ERR_SESSION_STORE_TIMEOUT', 'Another process does not let go of the session file.')
      } else await new Promise((resolve) => setTimeout(resolve, PAUSE * (0.5 + Math.random())))
    }
    try {
      return await work()
    } finally {
      await fs.unlink(lock).catch(() => undefined)
    }
  }
}

async function taken(lock: string): Promise<boolean> {
  try {
    await (await fs.open(lock, 'wx', FILE_MODE)).close()
    return true
  } catch (err) {
    if (codeOf(err) !== 'EEXIST') throw err
    return false
  }
}
