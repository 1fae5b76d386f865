import { describeLateWriters } from './helpers/late'
import { COOKIE_GROUNDS, GROUNDS } from './helpers/race'

// What holds across two processes holds within one, too.
const shared = Object.entries(GROUNDS).filter(([name]) => !/^(files|SQLite|Redis), one/.test(name))

describe.each(shared)('a session (%s)', (_name, open) => {
  describeLateWriters(open)
})

describe.each(Object.entries(COOKIE_GROUNDS))('a session (%s)', (_name, open) => {
  describeLateWriters(open, { indexless: true, carried: true })
})
