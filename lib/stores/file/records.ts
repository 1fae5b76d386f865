import fs from 'node:fs/promises'
import type { Milliseconds } from '../../base/time'
import { HASH, hashOf, type Folder, type OpenFile } from './folder'
import { decodeFile, expiryOf, type Draft, type Header, type Limits } from './format'
import { SweptVersions } from './swept-versions'
import type { Change } from './versions'

const QUARANTINE_MAX = 100
const SHELF = /^[0-9a-f]{2}$/

/** Turns sessions into what a file keeps, and back: to encrypt them at rest, say. Either may answer by promise. */
export interface FileSerializer {
  parse(text: string): unknown
  stringify(record: any): string | Promise<string>
}

/** A session as it was read. `text` is empty where the serializer could make nothing of it. */
export interface Kept extends Pick<Header, 'id' | 'user'>, Limits {
  text: string
  /** The text as the file has it. */
  body: string
  usedAt: Milliseconds
  expiresAt: Milliseconds | null
  isLive: boolean
}

/** What lies in a session's place and is none. */
export const CORRUPT = 'corrupt'

/** The files of the sessions, by hash of the session ID. */
export class Records {
  readonly versions: SweptVersions
  readonly #folder: Folder
  readonly #serializer: FileSerializer

  constructor(folder: Folder, serializer: FileSerializer) {
    this.#folder = folder
    this.#serializer = serializer
    this.versions = new SweptVersions(folder, 'claims', placeOf)
  }

  /** What is kept, expired or not. What is no session is told once, and then out of the way. */
  async find(hash: string): Promise<Kept | typeof CORRUPT | undefined> {
    const kept = await this.#look(hash, placeOf(hash))
    // Where it cannot be moved it stays, and is no session there either.
    if (kept === CORRUPT) await this.setAside(hash, isCorrupt).catch(() => undefined)
    return kept
  }

  async findLive(hash: string): Promise<Kept | undefined> {
    const kept = await this.find(hash)
    return kept !== undefined && kept !== CORRUPT && kept.isLive ? kept : undefined
  }

  /** Changes what is kept (see `Versions`); what is no session makes way first. */
  change(hash: string, decide: (kept: Kept | undefined) => Promise<Change<Draft>> | Change<Draft>): Promise<void> {
    return this.versions.change(hash, async (file) => {
      const kept = file && (await this.#decode(hash, file))
      if (kept !== CORRUPT) return decide(kept)
      await this.setAside(hash, isCorrupt)
      return 'again'
    })
  }

  /** Sets the time of last use alone. `false` when the session is gone. */
  touch(hash: string, usedAt: Milliseconds): Promise<boolean> {
    return this.#folder.touch(placeOf(hash), usedAt)
  }

  has(hash: string): Promise<boolean> {
    return this.#folder.has(placeOf(hash))
  }

  /** Moves what is no session to the folder `quarantine`, where the oldest go first. */
  async setAside(hash: string, isBad: (kept: Kept | typeof CORRUPT | undefined) => boolean): Promise<void> {
    const place = ['quarantine', `${String(Date.now()).padStart(16, '0')}-${hash}`]
    if (!(await this.#folder.move(placeOf(hash), place))) return
    // Another process has just put a session there.
    if (!isBad(await this.#look(hash, place))) {
      await this.#folder.link(place, placeOf(hash))
      await this.#folder.remove(...place)
    }
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

  async encode(text: string): Promise<string> {
    return (this.#serializer as unknown) === JSON ? text : this.#serializer.stringify(JSON.parse(text))
  }

  #look(hash: string, place: string[]): Promise<Kept | typeof CORRUPT | undefined> {
    return this.#folder.read(place, (file) => file && this.#decode(hash, file))
  }

  async #decode(hash: string, { bytes, mtime }: OpenFile): Promise<Kept | typeof CORRUPT> {
    const file = bytes && decodeFile(bytes)
    if (file === undefined || hashOf(file.header.id) !== hash) return CORRUPT
    const { header, body } = file
    const { id, user, span, until } = header
    const text = await this.#textOf(body)
    if (text === undefined) return CORRUPT
    const expiresAt = expiryOf(header, mtime)
    const isLive = expiresAt === null || expiresAt > Date.now()
    return { id, user, span, until, text, body, usedAt: mtime, expiresAt, isLive }
  }

  // The ends of an object are looked at, no more: the length is right, and taking it apart is the caller's work.
  async #textOf(body: string): Promise<string | undefined> {
    if ((this.#serializer as unknown) === JSON) return body.startsWith('{') && body.endsWith('}') ? body : undefined
    try {
      return JSON.stringify(await this.#serializer.parse(body)) ?? ''
    } catch {
      // Perhaps only the wrong key: the file is left alone.
      return ''
    }
  }
}

// 256 folders: 10^5 sessions are some 400 files in each.
function placeOf(hash: string): string[] {
  return ['records', hash.slice(0, 2), hash.slice(2)]
}

function isCorrupt(kept: unknown): boolean {
  return kept === CORRUPT
}
