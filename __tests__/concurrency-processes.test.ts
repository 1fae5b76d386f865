import { describeConcurrentRequests } from './helpers/concurrent'
import { GROUNDS } from './helpers/race'

describe.each(Object.entries(GROUNDS))('concurrent requests on one session (%s)', (name, open) => {
  // What a process does to a store of its own alone is quickest to see on memory.
  describeConcurrentRequests(open, name.startsWith('memory') || name.endsWith('two processes') ? 1000 : 200)
})
