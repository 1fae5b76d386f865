/**
 * Files that several processes change at once, without locks.
 *
 * Each content of a file has a tag of its own. To replace a content that has been read, a process
 *
 * 1. writes the next one to a temporary file, named by its tag;
 * 2. links that to the claim of the tag that it replaces: link(2) fails if another process was faster;
 * 3. looks whether the file is still the one that it has read;
 * 4. renames the temporary file to its place, and removes the claim.
 *
 * A process that is killed in between leaves its claim. Whoever meets that waits a moment, removes the temporary file,
 * which makes step 4 impossible, and claims the tag of the content that never came instead. Thus at most one process at
 * a time is between 2 and 4, no clock decides, and one that was given up too early only begins again.
 *
 * A removal links the file itself to its claim, which cannot be taken back: nothing is written over that content any
 * more. What is new is linked to its place, where nothing may be.
 */
import fs from 'node:fs/promises'
import { KeyedQueue } from '../../store/keyed-queue'
import { MINUTE, type MaybePromise, type Milliseconds } from '../../base/time'
import { ifThere } from './errors'
import type { Folder, OpenFile } from './folder'

/** How long a claim is waited for: far beyond what two file operations take. */
const PATIENCE: Milliseconds = 250
const PAUSE_MAX: Milliseconds = 16
/** No process is that slow; and if it is, it begins again. */
const TEMPORARY_MAX: Milliseconds = 10 * MINUTE

/** What is to become of a file. `again`: it has changed meanwhile, look once more. */
export type Change<D> = D | 'remove' | 'leave' | 'again'

type Outcome = 'done' | 'late' | 'fenced'

/** A folder, and what the files of one kind in it are called. */
interface Place {
  readonly folder: readonly string[]
  readonly named: RegExp
}

/** Where files of one kind, and what is needed to change them, lie; and what is in them. */
export interface Layout<D> {
  readonly temps: Place
  /** Named by the file whose change they claim, and the tag of the content. */
  readonly claims: Place
  placeOf(name: string): string[]
  claimOf(name: string, tag: string): string[]
  tempOf(name: string, tag: string): string[]
  /** What no other content ever has. */
  tagOf(bytes: Buffer): string
  /** Makes a content out of a draft, with the tag that `tagOf` finds in it. */
  encode(draft: D): { tag: string; content: string | Buffer; mtime: Milliseconds }
}

/** The files of one kind, by name. */
export class Versions<D> {
  readonly #queue = new KeyedQueue()

  constructor(
    private readonly folder: Folder,
    private readonly layout: Layout<D>
  ) {}

  /** Changes a file. `decide` is asked anew, with what there is then, whenever another process was faster. */
  change(name: string, decide: (file: OpenFile | undefined) => MaybePromise<Change<D>>): Promise<void> {
    const place = this.layout.placeOf(name)
    const work = async () => {
      for (let patience = PATIENCE, outcome: Outcome = 'late'; outcome !== 'done';) {
        outcome = await this.folder.read(place, async (file) => {
          const change = await decide(file)
          if (change === 'again') return 'late'
          if (change === 'leave') return 'done'
          if (file?.bytes !== undefined)
            return this.#succeed(name, file, this.layout.tagOf(file.bytes), change, patience)
          return change === 'remove' ? 'done' : this.#create(name, change)
        })
        if (outcome === 'fenced') patience *= 2
      }
    }
    return this.#queue.take(name, work) as Promise<void>
  }

  /** Waits for the changes that are under way. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  /** Removes what killed processes have left: temporary files, and claims of contents that are no more. */
  async sweep(): Promise<void> {
    const { temps, claims, placeOf, claimOf } = this.layout
    for (const file of await this.folder.names(...temps.folder)) {
      if (!temps.named.test(file)) continue
      const stats = await ifThere(fs.lstat(this.folder.path(...temps.folder, file)))
      if (stats !== undefined && Date.now() - stats.ctimeMs > TEMPORARY_MAX) await this.#drop([...temps.folder, file])
    }
    for (const file of await this.folder.names(...claims.folder)) {
      const [, name, tag] = claims.named.exec(file) ?? []
      if (name === undefined) continue
      const current = await this.#tagAt(placeOf(name))
      let next = current
      while (next !== undefined && next !== tag) {
        next = await this.#tagAt(claimOf(name, next))
        if (next === current) next = undefined
      }
      if (next === undefined) await this.#drop([...claims.folder, file])
    }
  }

  async #create(name: string, draft: D): Promise<Outcome> {
    const place = this.layout.placeOf(name)
    const temporary = await this.#write(name, draft)
    try {
      if (!(await this.folder.link(temporary, place))) return 'late'
      await this.folder.keep(place)
      return 'done'
    } finally {
      await this.#drop(temporary)
    }
  }

  // Steps 1, 2 and 3, 4.
  async #succeed(
    name: string,
    file: OpenFile,
    tag: string,
    change: D | 'remove',
    patience: Milliseconds
  ): Promise<Outcome> {
    const place = this.layout.placeOf(name)
    const temporary = change === 'remove' ? undefined : await this.#write(name, change)
    let outcome: Outcome = 'late'
    try {
      const claims = await this.#claim(name, file, tag, temporary ?? place, patience)
      if (claims === undefined) return outcome
      if (temporary === undefined) await this.folder.remove(...place)
      else if (!(await this.folder.move(temporary, place))) return (outcome = 'fenced')
      await this.folder.keep(place)
      // The content that they followed has gone: nothing depends on them any more.
      for (const claim of claims) await this.#drop(claim)
      return (outcome = 'done')
    } finally {
      if (temporary !== undefined && outcome !== 'done') await this.#drop(temporary)
    }
  }

  // The claims that lead from a content to ours; `undefined` when the content is replaced already.
  async #claim(
    name: string,
    file: OpenFile,
    tag: string,
    source: string[],
    patience: Milliseconds
  ): Promise<string[][] | undefined> {
    const claims: string[][] = []
    for (let last = tag; ;) {
      const claim = this.layout.claimOf(name, last)
      claims.push(claim)
      const isOurs = await this.folder.link(source, claim)
      if (isOurs === undefined) return undefined
      if (!isOurs) {
        const rival = await this.#tagAt(claim)
        if (rival === undefined) return undefined
        // A removal names the content itself, and is finished by whoever meets it.
        const removed = rival === tag ? this.layout.placeOf(name) : this.layout.tempOf(name, rival)
        const isThere = rival === tag ? file.isStill : () => this.folder.has(removed)
        if (await stays(isThere, patience)) await this.#drop(removed)
        last = rival
      }
      if (!(await file.isStill())) {
        for (const each of claims) await this.#drop(each)
        return undefined
      }
      if (isOurs) return claims
    }
  }

  // Step 1.
  async #write(name: string, draft: D): Promise<string[]> {
    const { tag, content, mtime } = this.layout.encode(draft)
    const temporary = this.layout.tempOf(name, tag)
    await this.folder.write(temporary, content, mtime)
    return temporary
  }

  #tagAt(names: string[]): Promise<string | undefined> {
    return this.folder.read(names, (file) => file?.bytes && this.layout.tagOf(file.bytes))
  }

  // Whether it was there or not.
  async #drop(names: string[]): Promise<void> {
    await ifThere(fs.unlink(this.folder.path(...names)))
  }
}

/** Whether something is still the case after a while, or `false` as soon as it is not. */
async function stays(isSo: () => Promise<boolean>, patience: Milliseconds): Promise<boolean> {
  for (let waited = 0, pause = 1; waited < patience; pause = Math.min(2 * pause, PAUSE_MAX)) {
    if (!(await isSo())) return false
    const span = pause * (0.5 + Math.random())
    waited += span
    await new Promise((resolve) => setTimeout(resolve, span))
  }
  return isSo()
}
