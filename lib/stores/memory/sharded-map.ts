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
    const shard = (this.#shards[shardOf(name)] ??= new Map<string, V>())
    shard.set(name, value)
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
