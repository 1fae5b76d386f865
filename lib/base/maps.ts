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

const SHARD_BITS = 6

/**
 * A map by name, in many small parts.
 *
 * One big Map stops the process for a tenth of a second and more when it doubles or halves at a million entries.
 */
export class ShardedMap<V> {
  readonly #shards: (Map<string, V> | undefined)[] = new Array<undefined>(1 << SHARD_BITS).fill(undefined)

  get(name: string): V | undefined {
    return this.#shards[shardOf(name)]?.get(name)
  }

  set(name: string, value: V): void {
    ;(this.#shards[shardOf(name)] ??= new Map<string, V>()).set(name, value)
  }

  delete(name: string): void {
    const number = shardOf(name)
    const shard = this.#shards[number]
    if (shard === undefined) return
    shard.delete(name)
    if (shard.size === 0) this.#shards[number] = undefined
  }

  /** Every value, in no order. The map may change meanwhile. */
  *values(): Generator<V> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard.values()
  }
}

// Only spreads the load: inside a part, Map's own seeded hash decides. The ends of random IDs and of counted users are
// what differs.
function shardOf(name: string): number {
  const end = name.length
  const hash = (name.charCodeAt(end - 1) | 0) * 31 + (name.charCodeAt(end - 2) | 0)
  return Math.imul(hash * 31 + (name.charCodeAt(end - 3) | 0), 0x9e3779b1) >>> (32 - SHARD_BITS)
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

/** What is made for an object when it is first asked for, and kept as long as that object is. */
export function madeFor<K extends object, V, A = void>(make: (of: K, by: A) => V): (of: K, by: A) => V {
  const made = new WeakMap<K, V>()
  return (of, by) => {
    let value = made.get(of)
    if (value === undefined) made.set(of, (value = make(of, by)))
    return value
  }
}
