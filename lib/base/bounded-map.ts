// Beyond Latin-1.
const WIDE = /[\u0100-\uffff]/

/**
 * A map of what was set lately: the latest `max` entries at least, twice as many at most.
 *
 * Two generations, because a Map that gives up its oldest entry for each new one has to look for it behind all that it
 * gave up before.
 */
export class BoundedMap<K, V> {
  readonly #max: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  constructor(max: number) {
    this.#max = max
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#max && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  delete(key: K): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}

/**
 * Whether a text needs two bytes a character. As looking through it joins its parts in one piece, V8 also lets go of
 * those: kept as it was put together, a text would take half as much again.
 */
export function isWide(text: string): boolean {
  return WIDE.test(text)
}

/** The same characters without what they were cut out of (a Cookie header), which V8 would keep along with them. */
export function compact(text: string): string {
  const encoding = isWide(text) ? 'utf16le' : 'latin1'
  return Buffer.from(text, encoding).toString(encoding)
}
