import { BoundedMap } from './bounded-map'

/** Names of sessions are few, but an application may make them of what a visitor sends (`req.sessions.get(tenant)`). */
const NAMES_MAX = 16

/**
 * What came of values that were found authentic lately, by name. Only authentic ones enter, so a flood of forgeries
 * neither fills nor empties it.
 */
export class RecentValues<T> {
  readonly #max: number
  readonly #names = new BoundedMap<string, BoundedMap<string, T>>(NAMES_MAX)

  /** @param max Values to hold of one name, at least; twice as many at most. */
  constructor(max: number) {
    this.#max = max
  }

  get(name: string, value: string): T | undefined {
    return this.#names.get(name)?.get(value)
  }

  /** `value` must not be cut out of a longer text: see `detached`. */
  set(name: string, value: string, found: T): void {
    let values = this.#names.get(name)
    if (values === undefined) this.#names.set(name, (values = new BoundedMap(this.#max)))
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
