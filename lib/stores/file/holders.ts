import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import { SECOND, type Milliseconds } from '../../base/time'
import { codeOf, ifThere } from './errors'
import type { Content, Folder } from './folder'

const BEAT_EVERY: Milliseconds = 5 * SECOND
/** A holder whose process cannot be asked counts as dead after this long without a sign of life. */
const SILENCE_MAX: Milliseconds = 20 * SECOND
const NAME = /^([0-9a-f]{8})\.(\d+)\.(\d+)\.[0-9a-f]{16}$/
/** Holder of a lock that does not say whose it is: a power cut emptied it. A living holder's always does. */
const NAMELESS = 'nameless'

/**
 * Who holds locks in a folder: one file per store and process, its name telling which process.
 *
 * A lock is a hard link to that file, so that taking and giving it back are one system call each, a lock always says
 * whose it is, and an inode number finds all locks of one holder. Whoever finds a dead holder first renames its file
 * to its own; only that process then removes the dead one's locks, so that nobody removes a lock taken anew.
 */
export class Holders {
  readonly #folder: Folder
  #self: Promise<string> | undefined
  #space = ''
  #beatAt = -Infinity
  #burial: Promise<unknown> = Promise.resolve()

  constructor(folder: Folder) {
    this.#folder = folder
  }

  /** The name of this store among the holders; its file is made at first use. */
  self(): Promise<string> {
    return (this.#self ??= this.#introduce())
  }

  /** Takes a lock: `false` when it is taken. */
  async link(lock: string): Promise<boolean> {
    const name = await this.self()
    await this.#beat(name)
    const take = () => fs.link(this.#folder.path('holders', name), this.#folder.path('locks', lock))
    try {
      await this.#folder.within('locks', async () => {
        try {
          await take()
        } catch (err) {
          if (codeOf(err) !== 'ENOENT') throw err
          await this.#announce(name)
          await take()
        }
      })
      return true
    } catch (err) {
      if (codeOf(err) === 'EEXIST') return false
      throw err
    }
  }

  /** Whose a lock is; `undefined` when it is free. */
  async holderOf(lock: string): Promise<string | undefined> {
    return nameIn(await this.#folder.read('locks', lock))
  }

  /** `undefined`: its process cannot be asked, for it lives in another container, or before a restart. */
  async lives(name: string): Promise<boolean | undefined> {
    await this.self()
    const [, space, pid, start] = NAME.exec(name) ?? []
    if (space !== this.#space || pid === undefined) return undefined
    if (!exists(Number(pid))) return false
    if (start === '0') return undefined
    const now = await startOf(Number(pid))
    return now === undefined ? undefined : now === start
  }

  /** Whether a holder may be robbed of its locks. */
  async isDead(name: string): Promise<boolean> {
    if (name === (await this.self())) return false
    if (name === NAMELESS) return true
    const lives = await this.lives(name)
    if (lives !== undefined) return !lives
    const stats = await ifThere(fs.lstat(this.#folder.path('holders', name)))
    return stats === undefined || Date.now() - stats.mtimeMs > SILENCE_MAX
  }

  /** Frees every lock of a dead holder. `lock`: one of them, if known. */
  bury(name: string, lock?: string): Promise<void> {
    // One at a time: both would be the same undertaker to others, but not to each other.
    const done = this.#burial.then(() => this.#bury(name, lock))
    this.#burial = done.catch(isNextOnesTask)
    return done
  }

  /** Buries all dead, and what is left of the burials of undertakers that died. */
  async sweep(isOn: () => boolean): Promise<void> {
    for (const file of await this.#folder.names('holders')) {
      if (!isOn()) return
      const [name] = file.split('~') as [string]
      if (await this.isDead(name)) await this.bury(name)
    }
    for (const lock of await this.#folder.names('locks')) {
      if (!isOn()) return
      const name = await this.holderOf(lock)
      if (name !== undefined && (await this.isDead(name))) await this.bury(name, lock)
    }
  }

  /** Takes leave. A lock taken later announces the holder anew. */
  async leave(): Promise<void> {
    const self = this.#self
    if (self === undefined) return
    this.#self = undefined
    await ifThere(fs.unlink(this.#folder.path('holders', await self)))
  }

  async #bury(name: string, lock: string | undefined): Promise<void> {
    const self = await this.self()
    const files = await this.#folder.names('holders')
    let current = files.find((file) => file === name || file.startsWith(`${name}~`))
    if (current === undefined) {
      if (lock === undefined) return
      // Its file was deleted by somebody: any of its locks is as good.
      if (!(await this.#unlessMoved(fs.link(this.#path('locks', lock), this.#path('holders', name))))) return
      current = name
    }
    const undertaker = current.slice(name.length + 1)
    if (undertaker !== '' && !(undertaker === self || (await this.isDead(undertaker)))) return
    const grave = `${name}~${self}`
    if (!(await this.#unlessMoved(fs.rename(this.#path('holders', current), this.#path('holders', grave))))) return
    const { ino } = await fs.lstat(this.#path('holders', grave))
    // A lock taken in the meantime may have been linked above instead: that is somebody else.
    if (nameIn(await this.#folder.read('holders', grave)) === name) {
      for (const each of await this.#folder.names('locks')) {
        const stats = await ifThere(fs.lstat(this.#path('locks', each)))
        if (stats?.ino === ino) await this.#folder.remove('locks', each)
      }
    }
    await this.#folder.remove('holders', grave)
  }

  #path(kind: 'holders' | 'locks', name: string): string {
    return this.#folder.path(kind, name)
  }

  // `false`: another process was faster.
  async #unlessMoved(work: Promise<unknown>): Promise<boolean> {
    try {
      await work
      return true
    } catch (err) {
      if (codeOf(err) === 'ENOENT' || codeOf(err) === 'EEXIST') return false
      throw err
    }
  }

  async #introduce(): Promise<string> {
    this.#space ||= await processSpace()
    const start = (await startOf(process.pid)) ?? '0'
    return `${this.#space}.${process.pid}.${start}.${randomBytes(8).toString('hex')}`
  }

  async #announce(name: string): Promise<void> {
    const path = this.#folder.path('holders', name)
    const write = () => fs.writeFile(path, name, { flag: 'wx', mode: 0o600 })
    await this.#folder.within('holders', write).catch((err) => {
      if (codeOf(err) !== 'EEXIST') throw err
    })
    await this.#folder.touch(['holders', name], Date.now())
  }

  async #beat(name: string): Promise<void> {
    const now = Date.now()
    if (Math.abs(now - this.#beatAt) < BEAT_EVERY) return
    this.#beatAt = now
    await this.#folder.touch(['holders', name], now)
  }
}

function nameIn(content: Content | undefined): string | undefined {
  if (content === undefined) return undefined
  const name = content === 'foreign' ? '' : content.bytes.toString('latin1')
  return NAME.test(name) ? name : NAMELESS
}

// Where process IDs mean the same: one boot of one machine, one PID namespace. Only Linux tells.
async function processSpace(): Promise<string> {
  const parts = await Promise.all([
    fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(isUntold),
    fs.readlink('/proc/self/ns/pid').catch(isUntold)
  ])
  return createHash('sha256').update(parts.join()).digest('hex').slice(0, 8)
}

// Process IDs are used again; together with the start time they are not. `''` for a process that has died already.
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'latin1').catch(isUntold)
  // The name of the program, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 20) return undefined
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : fields[19]
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (err) {
    return codeOf(err) !== 'ESRCH'
  }
}

function isUntold(): string {
  return ''
}

// Who waits for a lock looks again.
function isNextOnesTask(): void {}
