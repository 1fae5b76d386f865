import { NONE, PAGE_MASK, type Slots } from './slots'

/** The order of use: a list through the slots, least recently used first. */
export class Recency {
  readonly #slots: Slots
  #oldest = NONE
  #newest = NONE

  constructor(slots: Slots) {
    this.#slots = slots
  }

  get oldest(): number {
    return this.#oldest
  }

  /** Follows the list; `NONE` at its end. */
  after(slot: number): number {
    return this.#slots.page(slot).newer[slot & PAGE_MASK]!
  }

  add(slot: number): void {
    const page = this.#slots.page(slot)
    const last = this.#newest
    page.older[slot & PAGE_MASK] = last
    page.newer[slot & PAGE_MASK] = NONE
    if (last === NONE) this.#oldest = slot
    else this.#slots.page(last).newer[last & PAGE_MASK] = slot
    this.#newest = slot
  }

  remove(slot: number): void {
    const page = this.#slots.page(slot)
    const older = page.older[slot & PAGE_MASK]!
    const newer = page.newer[slot & PAGE_MASK]!
    if (older === NONE) this.#oldest = newer
    else this.#slots.page(older).newer[older & PAGE_MASK] = newer
    if (newer === NONE) this.#newest = older
    else this.#slots.page(newer).older[newer & PAGE_MASK] = older
  }

  /** Makes a slot the most recently used. */
  use(slot: number): void {
    if (slot === this.#newest) return
    this.remove(slot)
    this.add(slot)
  }
}
