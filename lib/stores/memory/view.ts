/** What the view shows: texts by ID. */
export interface Texts {
  read(id: string): string | undefined
  write(id: string, text: string | undefined): void
  ids(): string[]
}

/** A plain-looking object, ID -> JSON, over texts that lie elsewhere: what apps know as `MemoryStore.sessions`. */
export function viewOf(texts: Texts): Record<string, string> {
  const target: Record<string, string> = Object.create(null)
  return new Proxy(target, {
    get: (_, key) => (typeof key === 'string' ? texts.read(key) : undefined),
    has: (_, key) => typeof key === 'string' && texts.read(key) !== undefined,
    ownKeys: () => texts.ids(),
    set(_, key, value) {
      if (typeof key === 'string') texts.write(key, typeof value === 'string' ? value : undefined)
      return true
    },
    deleteProperty(_, key) {
      if (typeof key === 'string') texts.write(key, undefined)
      return true
    },
    getOwnPropertyDescriptor(_, key) {
      const value = typeof key === 'string' ? texts.read(key) : undefined
      return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
    }
  })
}
