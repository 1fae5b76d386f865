/**
 * Files that several processes change at once, without locks.
 *
 * Each content of a file has a tag of its own, written into it. To replace a content that has been read, a process
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
import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import { KeyedQueue } from '../../store/keyed-queue'
import { MINUTE, type MaybePromise, type Milliseconds } from '../../base/time'
import { ifThere } from './errors'
import { HASH, type Folder, type OpenFile } from './folder'
import { encodeFile, tagOf, type Draft } from './format'

/** How long a claim is waited for: far beyond what two file operations take. */
const PATIENCE: Milliseconds = 250
const PAUSE_MAX: Milliseconds = 16
/** No process is that slow; and if it is, it begins again. */
const TEMPORARY_MAX: Milliseconds = 10 * MINUTE

/** What is to become of a file. `again`: it has changed meanwhile, look once more. */
export type Change = Draft | 'remove' | 'leave' | 'again'

type Outcome = 'done' | 'late' | 'fenced'

/** The files of one kind, by name. */
export class Versions {
  readonly #folder: Folder
  readonly #claims: string
  readonly #placeOf: (name: string) => string[]
  readonly #queue = new KeyedQueue()
  readonly #working = new Set<Promise<void>>()
  readonly #self = randomBytes(8).toString('hex')
  #written = 0

  /** @param claims Name of the folder for claims. */
  constructor(folder: Folder, claims: string, placeOf: (name: string) => string[]) {
    this.#folder = folder
    this.#claims = claims
    this.#placeOf = placeOf
  }

  /** Changes a file. `decide` is asked anew, with what there is then, whenever another process was faster. */
  change(name: string, decide: (file: OpenFile | undefined) => MaybePromise<Change>): Promise<void> {
    const place = this.#placeOf(name)
    const work = async () => {
      for (let patience = PATIENCE, outcome: Outcome = 'late'; outcome !== 'done';) {
        outcome = await this.#folder.read(place, async (file) => {
          const change = await decide(file)
          if (change === 'again') return 'late'
          if (change === 'leave') return 'done'
          if (file?.bytes !== undefined) return this.#succeed(name, file, tagOf(file.bytes), change, patience)
          return change === 'remove' ? 'done' : this.#create(place, change)
        })
        if (outcome === 'fenced') patience *= 2
      }
    }
    const done = this.#queue.take(name, work) as Promise<void>
    this.#working.add(done)
    return done.finally(() => this.#working.delete(done))
  }

  /** Waits until nothing is being changed. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working)
  }

  /** Removes what killed processes have left: temporary files, and claims of contents that are no more. */
  async sweep(): Promise<void> {
    for (const name of await this.#folder.names('temp')) {
      const stats = await ifThere(fs.lstat(this.#folder.path('temp', name)))
      if (stats !== undefined && Date.now() - stats.ctimeMs > TEMPORARY_MAX) await this.#drop(['temp', name])
    }
    for (const claim of await this.#folder.names(this.#claims)) {
      const [name, tag] = claim.split('.') as [string, string]
      const current = HASH.test(name) ? await this.#tagAt(this.#placeOf(name)) : undefined
      let next = current
      while (next !== undefined && next !== tag) {
        next = await this.#tagAt([this.#claims, `${name}.${next}`])
        if (next === current) next = undefined
      }
      if (next === undefined) await this.#drop([this.#claims, claim])
    }
  }

  async #create(place: string[], draft: Draft): Promise<Outcome> {
    const temporary = await this.#write(draft)
    try {
      if (!(await this.#folder.link(temporary, place))) return 'late'
      await this.#folder.keep(place)
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
    change: Draft | 'remove',
    patience: Milliseconds
  ): Promise<Outcome> {
    const place = this.#placeOf(name)
    const temporary = change === 'remove' ? undefined : await this.#write(change)
    let outcome: Outcome = 'late'
    try {
      const claims = await this.#claim(name, file, tag, temporary ?? place, patience)
      if (claims === undefined) return outcome
      if (temporary === undefined) await this.#folder.remove(...place)
      else if (!(await this.#folder.move(temporary, place))) return (outcome = 'fenced')
      await this.#folder.keep(place)
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
      const claim = [this.#claims, `${name}.${last}`]
      claims.push(claim)
      const isOurs = await this.#folder.link(source, claim)
      if (isOurs === undefined) return undefined
      if (!isOurs) {
        const rival = await this.#tagAt(claim)
        if (rival === undefined) return undefined
        // A removal names the content itself, and is finished by whoever meets it.
        const removed = rival === tag ? this.#placeOf(name) : ['temp', rival]
        const isThere = rival === tag ? file.isStill : () => this.#folder.has(removed)
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
  async #write(draft: Draft): Promise<string[]> {
    const tag = `${this.#self}-${(++this.#written).toString(36)}`
    const temporary = ['temp', tag]
    await this.#folder.write(temporary, encodeFile(draft, tag), draft.usedAt)
    return temporary
  }

  #tagAt(names: string[]): Promise<string | undefined> {
    return this.#folder.read(names, (file) => file?.bytes && tagOf(file.bytes))
  }

  // Whether it was there or not.
  async #drop(names: string[]): Promise<void> {
    await ifThere(fs.unlink(this.#folder.path(...names)))
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
