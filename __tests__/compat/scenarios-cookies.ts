/** What a state is made of: the cookie's name, and a signer that uses the newest key unless told otherwise. */
export interface CookieTools {
  name: string
  signed: (id: string, key?: string) => string
  oldest: string
}

export interface CookieState {
  header: (tools: CookieTools) => string | undefined
  /** What the store holds under the known ID. */
  record?: 'plain' | 'lasting' | 'expired' | 'dressed' | 'bare'
}

export const KNOWN_ID = 'known-id-of-ann'
export const OTHER_ID = 'other-id-of-bob'
const FOREIGN_KEY = 'a key that this application never had'

const state = (header: CookieState['header'], record?: CookieState['record']): CookieState =>
  record === undefined ? { header } : { header, record }
const enc = encodeURIComponent
const flip = (text: string) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')
const everywhere = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')

export const COOKIES: Record<string, CookieState> = {
  none: state(() => undefined),
  valid: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}`),
  forged: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID, FOREIGN_KEY))}`),
  unknown: state(({ name, signed }) => `${name}=${enc(signed('an-id-nobody-knows'))}`),
  'signed by the oldest key': state(({ name, signed, oldest }) => `${name}=${enc(signed(KNOWN_ID, oldest))}`),
  'last character changed': state(({ name, signed }) => `${name}=${enc(flip(signed(KNOWN_ID)))}`),
  truncated: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID).slice(0, -3))}`),
  unsigned: state(({ name }) => `${name}=${KNOWN_ID}`),
  empty: state(({ name }) => `${name}=`),
  'only the prefix': state(({ name }) => `${name}=s%3A`),
  'prefix and dot': state(({ name }) => `${name}=s%3A.`),
  'signed empty ID': state(({ name, signed }) => `${name}=${enc(signed(''))}`),
  'without the prefix': state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID).slice(2))}`),
  'other prefix': state(({ name, signed }) => `${name}=${enc(`j:${signed(KNOWN_ID).slice(2)}`)}`),
  quoted: state(({ name, signed }) => `${name}="${enc(signed(KNOWN_ID))}"`),
  'quoted and raw': state(({ name, signed }) => `${name}="${signed(KNOWN_ID)}"`),
  raw: state(({ name, signed }) => `${name}=${signed(KNOWN_ID)}`),
  'encoded throughout': state(({ name, signed }) => `${name}=${everywhere(signed(KNOWN_ID))}`),
  'encoded in lower case': state(
    ({ name, signed }) => `${name}=${enc(signed(KNOWN_ID)).replace(/%../g, (c) => c.toLowerCase())}`
  ),
  'encoded twice': state(({ name, signed }) => `${name}=${enc(enc(signed(KNOWN_ID)))}`),
  'broken encoding': state(({ name }) => `${name}=%E0%A4%A`),
  'signed, then broken encoding': state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}%E0%A4%A`),
  'ID with spaces and umlaut': state(({ name, signed }) => `${name}=${enc(signed('id with spaces/\u00fc'))}`),
  'ID with a dot': state(({ name, signed }) => `${name}=${enc(signed('a.b.c'))}`),
  'among others': state(({ name, signed }) => `a=1; ${name}=${enc(signed(KNOWN_ID))}; __proto__=x; b="2"`),
  'without space': state(({ name, signed }) => `a=1;${name}=${enc(signed(KNOWN_ID))};b=2`),
  'with blanks': state(({ name, signed }) => `a=1;  ${name} = ${enc(signed(KNOWN_ID))}  ; b=2`),
  'in other case': state(({ name, signed }) => `${name.toUpperCase()}=${enc(signed(KNOWN_ID))}`),
  'name inside a value': state(({ name, signed }) => `a=b ${name}=${enc(signed(KNOWN_ID))}`),
  'longer name': state(({ name, signed }) => `${name}x=${enc(signed(KNOWN_ID))}`),
  'other name': state(({ signed }) => `else=${enc(signed(KNOWN_ID))}`),
  'two: valid, then forged': state(
    ({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}; ${name}=${enc(signed(OTHER_ID, FOREIGN_KEY))}`
  ),
  'two: forged, then valid': state(
    ({ name, signed }) => `${name}=${enc(signed(OTHER_ID, FOREIGN_KEY))}; ${name}=${enc(signed(KNOWN_ID))}`
  ),
  'two: unsigned, then valid': state(({ name, signed }) => `${name}=stale; ${name}=${enc(signed(KNOWN_ID))}`),
  'two: the same': state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}; ${name}=${enc(signed(KNOWN_ID))}`),
  'two: ann, then bob': state(
    ({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}; ${name}=${enc(signed(OTHER_ID))}`
  ),
  lasting: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}`, 'lasting'),
  expired: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}`, 'expired'),
  dressed: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}`, 'dressed'),
  bare: state(({ name, signed }) => `${name}=${enc(signed(KNOWN_ID))}`, 'bare')
}
