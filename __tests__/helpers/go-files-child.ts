/** What other processes on the folder of Go's FilesystemStore do (see child.ts). */
import fs from 'node:fs/promises'
import { gorillaSessions } from '../../lib/gorilla'
import { decodeRecord, encodeRecord } from '../../lib/record/record'
import { POWERS, type Found, type Powers } from '../../lib/store/contract'

const keyPairs = [[Buffer.alloc(32, 'h')]] as const
export const life = () => ({ usedAt: Date.now(), expiresAt: Date.now() + 3_600_000 })

export function powersAt(path: string): Powers {
  const store = gorillaSessions(path, { format: 'filesystem', keyPairs, name: 'session-name' })
  return (store as unknown as { [POWERS]: Powers })[POWERS]
}

/** Adds `times` times one, by conditional writes. Answers how often another process was faster. */
export async function increment(path: string, id: string, times: number): Promise<number> {
  const powers = powersAt(path)
  let conflicts = 0
  for (let done = 0; done < times;) {
    const { text: expected } = (await powers.read(id)) as Found
    const { cookieText, meta, data } = decodeRecord(expected)!
    const text = encodeRecord(cookieText, meta, JSON.stringify({ n: (data.n as number) + 1 }))
    if ((await powers.write({ id, text, expected, life: life() })) === true) done++
    else conflicts++
  }
  return conflicts
}

/** Begins a change, and is killed right before a step of it: for good, and holding what it has taken. */
export async function dieAt(step: 'link' | 'rename' | 'unlink', change: 'write' | 'remove', path: string, id: string) {
  fs[step] = () => {
    process.kill(process.pid, 'SIGKILL')
    return new Promise(() => undefined)
  }
  if (change === 'write') await increment(path, id, 1)
  else await powersAt(path).remove(id)
}
