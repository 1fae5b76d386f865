// Stores in memory at growing sizes, each in a process of its own.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MEMORY_CONTENDERS } from './memory-contenders.mjs'

const CHILD = fileURLToPath(new URL('memory-child.mjs', import.meta.url))
const run = promisify(execFile)

/** What `memory-child.mjs` prints, for every contender at every size. */
export async function memory(sizes, names = Object.keys(MEMORY_CONTENDERS)) {
  const results = []
  for (const size of sizes) {
    for (const name of names) {
      const { stdout } = await run(process.execPath, ['--expose-gc', CHILD, name, String(size)])
      results.push(JSON.parse(stdout))
    }
  }
  return results
}
