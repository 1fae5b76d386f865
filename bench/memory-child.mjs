// One store at one size, in a process of its own. Prints one line of JSON.
import { Filled } from './memory-filled.mjs'
import { Watch } from './watch.mjs'

const WARM_UP = 5000

const [name, sizeText] = process.argv.slice(2)
const size = Number(sizeText)

async function memory() {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    globalThis.gc()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function run(size, watch) {
  const ids = Filled.idsFor(size)
  const before = await memory()
  const filled = new Filled(name, ids, watch)
  const inserting = await filled.insert()
  const bytes = ((await memory()) - before) / size
  const text = filled.textLength
  const reading = await filled.read()
  const request = await filled.request()
  const users = await filled.users()
  const expiring = await filled.expire()
  const bytesLeft = ((await memory()) - before) / size
  return {
    name,
    size,
    bytes,
    text,
    inserting,
    reading,
    expiring,
    request,
    users,
    left: filled.left,
    bytesLeft
  }
}

const watch = new Watch()
// Compiled code and the caches of libraries are no session's memory, nor compiling a pause of the store.
await run(WARM_UP, watch)
console.log(JSON.stringify(await run(size, watch)))
process.exit()
