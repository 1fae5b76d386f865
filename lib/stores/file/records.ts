import fs from 'node:fs/promises'
import type { MaybePromise, Milliseconds } from '../../base/time'
import type { Serializer } from '../option-rules'
import { HASH, hashOf, type Folder, type OpenFile } from './folder'
import { decodeFile, draftVersions, expiryOf, type Draft, type Header, type Limits } from './format'
import type { Change } from './versions'

const QUARANTINE_MAX = 100
const SHELF = /^[0-9a-f]{2}$/

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
export type Records = ReturnType<typeof recordsIn>

type Looked = Kept | typeof CORRUPT | undefined

export function recordsIn(folder: Folder, serializer: Serializer) {
  const versions = draftVersions(folder, 'claims', placeOf)
  const isPlain = (serializer as unknown) === JSON

  // The ends of an object are looked at, no more: the length is right, and taking it apart is the caller's work.
  const textOf = async (body: string): Promise<string | undefined> => {
    if (isPlain) return body.startsWith('{') && body.endsWith('}') ? body : undefined
    try {
      return JSON.stringify(await serializer.parse(body)) ?? ''
    } catch {
      // Perhaps only the wrong key: the file is left alone.
      return ''
    }
  }
  const decode = async (hash: string, { bytes, mtime }: OpenFile): Promise<Kept | typeof CORRUPT> => {
    const file = bytes && decodeFile(bytes)
    if (file === undefined || hashOf(file.header.id) !== hash) return CORRUPT
    const { header, body } = file
    const { id, user, span, until } = header
    const text = await textOf(body)
    if (text === undefined) return CORRUPT
    const expiresAt = expiryOf(header, mtime)
    const isLive = expiresAt === null || expiresAt > Date.now()
    return { id, user, span, until, text, body, usedAt: mtime, expiresAt, isLive }
  }
  const look = (hash: string, place: string[]): Promise<Looked> =>
    folder.read(place, (file) => file && decode(hash, file))

  const trimQuarantine = async (): Promise<void> => {
    const names = (await folder.names('quarantine')).sort()
    for (const name of names.slice(0, -QUARANTINE_MAX)) {
      await fs.rm(folder.path('quarantine', name), { recursive: true, force: true })
    }
  }
  // Moves what is no session to the folder `quarantine`, where the oldest go first.
  const setAside = async (hash: string): Promise<void> => {
    const place = ['quarantine', `${String(Date.now()).padStart(16, '0')}-${hash}`]
    if (!(await folder.move(placeOf(hash), place))) return
    // Another process has just put a session there.
    if ((await look(hash, place)) !== CORRUPT) {
      await folder.link(place, placeOf(hash))
      await folder.remove(...place)
    }
    await trimQuarantine()
  }
  const find = async (hash: string): Promise<Looked> => {
    const kept = await look(hash, placeOf(hash))
    // Where it cannot be moved it stays, and is no session there either.
    if (kept === CORRUPT) await setAside(hash).catch(() => undefined)
    return kept
  }

  return {
    versions,
    /** What is kept, expired or not. What is no session is told once, and then out of the way. */
    find,
    async findLive(hash: string): Promise<Kept | undefined> {
      const kept = await find(hash)
      return kept !== undefined && kept !== CORRUPT && kept.isLive ? kept : undefined
    },
    /** Changes what is kept (see `Versions`); what is no session makes way first. */
    change: (hash: string, decide: (kept: Kept | undefined) => MaybePromise<Change<Draft>>) =>
      versions.change(hash, async (file) => {
        const kept = file && (await decode(hash, file))
        if (kept !== CORRUPT) return decide(kept)
        await setAside(hash)
        return 'again'
      }),
    /** Sets the time of last use alone. `false` when the session is gone. */
    touch: (hash: string, usedAt: Milliseconds) => folder.touch(placeOf(hash), usedAt),
    has: (hash: string) => folder.has(placeOf(hash)),
    trimQuarantine,
    /** The hashes of everything kept, a bounded number at a time. */
    async *hashes(): AsyncGenerator<string> {
      for (const shelf of await folder.names('records')) {
        if (!SHELF.test(shelf)) continue
        for (const rest of await folder.names('records', shelf)) if (HASH.test(shelf + rest)) yield shelf + rest
      }
    },
    encode: async (text: string) => (isPlain ? text : serializer.stringify(JSON.parse(text)))
  }
}

// 256 folders: 10^5 sessions are some 400 files in each.
function placeOf(hash: string): string[] {
  return ['records', hash.slice(0, 2), hash.slice(2)]
}
