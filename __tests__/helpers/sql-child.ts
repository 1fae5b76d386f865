/** What other processes do to a table of sessions (see child.ts). */
import { POWERS, type Found } from '../../lib/store/contract'
import { storeAt, type Place } from './app-child'
import { openSqlite } from './sqlite'

const life = () => ({ usedAt: Date.now(), expiresAt: Date.now() + 3_600_000 })

/** Adds one for ever, by conditional writes, and says each time how far it got, until somebody kills this process. */
export async function incrementForEver(place: Place, id: string): Promise<never> {
  const powers = (await storeAt(place))[POWERS]
  for (;;) {
    const found = (await powers.read(id)) as Found
    const record = JSON.parse(found.text)
    record[process.pid] = (record[process.pid] ?? 0) + 1
    const written = await powers.write({ id, text: JSON.stringify(record), expected: found.text, life: life() })
    if (written === true) await new Promise((resolve) => process.send!({ wrote: record[process.pid] }, resolve))
  }
}

// What nobody refers to would be closed.
let held: any

/** Keeps others from writing to a file of SQLite, until somebody kills this process. */
export function holdFile(path: string): void {
  held = openSqlite(path)
  held.exec('BEGIN IMMEDIATE')
}

/** Makes a session where nobody has done so. */
export async function create(place: Place, id: string, text: string): Promise<unknown> {
  return (await storeAt(place))[POWERS].write({ id, text, expected: null, life: life() })
}
