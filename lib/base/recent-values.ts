/** Names of sessions are few, but an application may make them of what a visitor sends (`req.sessions.get(tenant)`). */
const NAMES_MAX = 32

/**
 * What came of values that were found authentic lately, by name. Only authentic ones enter, so a flood of forgeries
 * neither fills nor empties it.
 */
export class RecentValues<T> {
  readonly #max: number
  readonly #names = new Map<string, Map<string, T>>()

  /** @param max values to hold for one name. What is too much is not picked from: all of it is given up. */
  constructor(max: number) {
    this.#max = max
  }

  get(name: string, value: string): T | undefined {
    return this.#names.get(name)?.get(value)
  }

  /** `value` must not be cut out of a longer text: see `detached`. */
  set(name: string, value: string, found: T): void {
    let values = this.#names.get(name)
    if (values === undefined) {
      if (this.#names.size >= NAMES_MAX) this.#names.clear()
      this.#names.set(name, (values = new Map<string, T>()))
    }
    if (values.size >= this.#max) values.clear()
    values.set(value, found)
  }

  clear(): void {
    this.#names.clear()
  }
}

/** The same characters without what they were cut out of (a Cookie header), which V8 would keep along with them. */
export function detached(text: string): string {
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  return copy === text ? copy : text
}
