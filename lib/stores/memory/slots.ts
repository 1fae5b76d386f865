/**
 * Where a MemoryStore's sessions lie: numbered slots in pages of plain arrays, instead of one object a session.
 *
 * A million sessions then cost some 40 bytes each beside their own text, growing never copies what is there, and
 * looking for expired ones reads one array of numbers.
 */
const PAGE_BITS = 10

export const PAGE_SIZE = 1 << PAGE_BITS
export const PAGE_MASK = PAGE_SIZE - 1
/** No slot: the end of a list. */
export const NONE = -1

/** One page of slots. `-1` and `Infinity` stand for none and never, so that the arrays stay numeric. */
export class Page {
  readonly ids: string[] = new Array<string>(PAGE_SIZE).fill('')
  readonly texts: string[] = new Array<string>(PAGE_SIZE).fill('')
  /** 1 where the text needs two bytes a character. */
  readonly wide = new Uint8Array(PAGE_SIZE)
  readonly usedAt = new Float64Array(PAGE_SIZE)
  readonly expiresAt = new Float64Array(PAGE_SIZE).fill(Infinity)
  /** Neighbours in the order of use; in a free slot, `newer` is the next free one. */
  readonly older = new Int32Array(PAGE_SIZE)
  readonly newer = new Int32Array(PAGE_SIZE)
  /** Whose session it is, and that user's other sessions. Made when the page meets its first user. */
  users: (string | undefined)[] | undefined
  before: Int32Array | undefined
  after: Int32Array | undefined

  taken = 0
  #free = 0

  constructor() {
    for (let at = 0; at < PAGE_SIZE; at++) this.newer[at] = at + 1
  }

  get full(): boolean {
    return this.taken === PAGE_SIZE
  }

  take(): number {
    const at = this.#free
    this.#free = this.newer[at]!
    this.taken++
    return at
  }

  free(at: number): void {
    this.ids[at] = ''
    this.texts[at] = ''
    this.expiresAt[at] = Infinity
    this.newer[at] = this.#free
    this.#free = at
    this.taken--
  }
}

/** Hands out slots; a page that became empty is given back. */
export class Slots {
  readonly pages: (Page | undefined)[] = []
  // Numbers of the pages with room, those given back among them.
  readonly #open: number[] = []

  take(): number {
    if (this.#open.length === 0) this.#open.push(this.pages.push(undefined) - 1)
    const number = this.#open[this.#open.length - 1]!
    const page = (this.pages[number] ??= new Page())
    const at = page.take()
    if (page.full) this.#open.pop()
    return (number << PAGE_BITS) | at
  }

  free(slot: number): void {
    const number = slot >>> PAGE_BITS
    const page = this.pages[number]!
    if (page.full) this.#open.push(number)
    page.free(slot & PAGE_MASK)
    if (page.taken === 0) this.pages[number] = undefined
  }

  /** The page of a slot that is taken. */
  page(slot: number): Page {
    return this.pages[slot >>> PAGE_BITS]!
  }

  /** The same for any slot; `undefined` where the whole page is free. */
  pageAt(slot: number): Page | undefined {
    return this.pages[slot >>> PAGE_BITS]
  }

  /** One past the last slot. */
  get end(): number {
    return this.pages.length << PAGE_BITS
  }
}
