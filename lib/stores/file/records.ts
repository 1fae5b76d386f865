import fs from 'node:fs/promises'
import type { Life } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import { decodeFile, encodeFile, expiryOf, limitsOf, refit, type Header, type Limits } from './format'
import { ifThere } from './errors'
import { HASH, hashOf, type Folder } from './folder'
import type { Holders } from './holders'
import type { Check, Mutex } from './mutex'

const QUARANTINE_MAX = 100
const SHELF = /^[0-9a-f]{2}$/

/** Turns sessions into what a file keeps, and back: to encrypt them at rest, say. Either may answer by promise. */
export interface FileSerializer {
  parse(text: string): any
  stringify(record: any): string | Promise<string>
}

/** A session as it was read. `text` is empty where the serializer could make nothing of it. */
export interface Kept extends Pick<Header, 'id' | 'user'>, Limits {
  text: string
  /** The text as the file has it. */
  body: string
  usedAt: Milliseconds
  expiresAt: Milliseconds | null
}

/** What lies in a session's place and is none. */
export const CORRUPT = 'corrupt'

/** The files of the sessions, by hash of the session ID. Only the mutex of a hash allows to change its file. */
export class Records {
  readonly #folder: Folder
  readonly #mutex: Mutex
  readonly #holders: Holders
  readonly #serializer: FileSerializer
  #temps = 0

  constructor(folder: Folder, mutex: Mutex, holders: Holders, serializer: FileSerializer) {
    this.#folder = folder
    this.#mutex = mutex
    this.#holders = holders
    this.#serializer = serializer
  }

  /** What is kept, expired or not. What is no session is told once, and then out of the way. */
  async find(hash: string): Promise<Kept | typeof CORRUPT | undefined> {
    const found = await this.look(hash)
    if (found === CORRUPT) await this.quarantine(hash)
    return found
  }

  /** The same, and leaves everything as it is. */
  async look(hash: string): Promise<Kept | typeof CORRUPT | undefined> {
    const content = await this.#folder.read(...placeOf(hash))
    if (content === undefined) return undefined
    const file = content === 'foreign' ? undefined : decodeFile(content.bytes)
    if (content === 'foreign' || file === undefined || hashOf(file.header.id) !== hash) return CORRUPT
    const { id, user, span, until } = file.header
    const text = await this.#decode(file.body)
    if (text === undefined) return CORRUPT
    // Times travel as fractions of a second.
    const usedAt = Math.round(content.stats.mtimeMs)
    return { id, user, span, until, text, body: file.body, usedAt, expiresAt: expiryOf({ span, until }, usedAt) }
  }

  async save(id: string, text: string, life: Life, user: string | undefined, check: Check): Promise<void> {
    await this.#put(id, await this.#encode(text), limitsOf(life), life.usedAt, user, check)
  }

  /** Gives a session that has just been read a new life. `false` when it is gone. */
  async extend(kept: Kept, life: Life): Promise<boolean> {
    const hash = hashOf(kept.id)
    if (refit(kept, life) === kept) return this.#folder.touch(placeOf(hash), life.usedAt)
    return this.#mutex.run(hash, async (check) => {
      const now = await this.look(hash)
      if (now === undefined || now === CORRUPT) return false
      await this.#put(now.id, now.body, refit(now, life), life.usedAt, now.user, check)
      return true
    })
  }

  async exists(hash: string): Promise<boolean> {
    return (await ifThere(fs.lstat(this.#folder.path(...placeOf(hash))))) !== undefined
  }

  /** Only inside the mutex. `false` when it was gone. */
  async remove(hash: string): Promise<boolean> {
    return this.#folder.remove(...placeOf(hash))
  }

  /** Moves what is no session out of the way. `body`: of a whole file that nevertheless makes none. */
  async quarantine(hash: string, body?: string): Promise<void> {
    try {
      await this.#mutex.run(hash, async () => {
        const now = await this.look(hash)
        if (now === CORRUPT || (now !== undefined && now.body === body)) await this.setAside(hash)
      })
    } catch {
      // It stays where it is, and is no session there either.
    }
  }

  /** The same inside the mutex. It is kept for somebody to look at; the oldest of these go first. */
  async setAside(hash: string): Promise<void> {
    const name = `${String(Date.now()).padStart(16, '0')}-${hash}`
    const move = () => fs.rename(this.#folder.path(...placeOf(hash)), this.#folder.path('quarantine', name))
    await this.#folder.within('quarantine', move)
    await this.trimQuarantine()
  }

  async trimQuarantine(): Promise<void> {
    const names = (await this.#folder.names('quarantine')).sort()
    for (const name of names.slice(0, -QUARANTINE_MAX)) {
      await fs.rm(this.#folder.path('quarantine', name), { recursive: true, force: true })
    }
  }

  /** The hashes of everything kept, a bounded number at a time. */
  async *hashes(): AsyncGenerator<string> {
    for (const shelf of await this.#folder.names('records')) {
      if (!SHELF.test(shelf)) continue
      for (const rest of await this.#folder.names('records', shelf)) {
        if (HASH.test(shelf + rest)) yield shelf + rest
      }
    }
  }

  /** Removes what killed processes were writing. */
  async sweepTemps(): Promise<void> {
    for (const name of await this.#folder.names('temp')) {
      if (await this.#holders.isDead(name.split('-')[0]!)) await ifThere(fs.unlink(this.#folder.path('temp', name)))
    }
  }

  /** A name for a temporary file that tells whose it is. */
  async tempName(): Promise<string> {
    return `${await this.#holders.self()}-${++this.#temps}`
  }

  async #put(
    id: string,
    body: string,
    limits: Limits,
    usedAt: Milliseconds,
    user: string | undefined,
    check: Check
  ): Promise<void> {
    const content = encodeFile(id, limits, user, body)
    await this.#folder.replace(placeOf(hashOf(id)), await this.tempName(), content, usedAt, check)
  }

  // The ends of an object are looked at, no more: the length is right, and taking it apart is the caller's work.
  async #decode(body: string): Promise<string | undefined> {
    if ((this.#serializer as unknown) === JSON) return body.startsWith('{') && body.endsWith('}') ? body : undefined
    try {
      return JSON.stringify(await this.#serializer.parse(body)) ?? ''
    } catch {
      // Perhaps only the wrong key: the file is left alone.
      return ''
    }
  }

  async #encode(text: string): Promise<string> {
    return (this.#serializer as unknown) === JSON ? text : this.#serializer.stringify(JSON.parse(text))
  }
}

/** Whether a session may still be used. */
export function isLive({ expiresAt }: Kept): boolean {
  return expiresAt === null || expiresAt > Date.now()
}

// 256 folders: 10^5 sessions are some 400 files in each.
function placeOf(hash: string): string[] {
  return ['records', hash.slice(0, 2), hash.slice(2)]
}
