// What the handler does, and whether the request brings a cookie. `proof` names what must have happened.
const nothing = () => {}
const read = (req, counts) => void (req.session.user && counts.seen++)
const write = (req, counts) => void (req.session.n = ++counts.written)

export const SCENARIOS = {
  'a anonymous, untouched': {
    work: nothing,
    cookie: 'none',
    proof: 'untouched'
  },
  'b valid cookie, untouched': {
    work: nothing,
    cookie: 'valid',
    proof: 'untouched'
  },
  'c one value read': { work: read, cookie: 'valid', proof: 'read' },
  'd one value written': {
    work: write,
    cookie: 'valid',
    writes: true,
    proof: 'written'
  },
  'e new session': {
    work: write,
    cookie: 'none',
    writes: true,
    proof: 'written'
  },
  'f forged cookie, untouched': { work: nothing, cookie: 'forged', proof: 'untouched' },
  'g forged cookie, read': { work: read, cookie: 'forged', proof: 'anonymous' }
}

export const PAYLOADS = { '300 B': 300, '3 KB': 2900, '50 KB': 50_000 }

/** Data of about so many bytes of JSON. */
export function payload(bytes) {
  const data = { user: 'u'.repeat(20) }
  for (let i = 0; bytes > 60 * i; i++) data[`key${i}`] = { text: 'x'.repeat(30), n: i }
  return data
}

/** Requests at a time: enough for a database behind a network to be busy, one where a store answers directly. */
export function visitorsOf(database) {
  return database === 'sqlite' ? 1 : 30
}
