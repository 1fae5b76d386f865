import { SlotIndex } from './index'
import { NONE, PAGE_MASK, PAGE_SIZE, type Page, type Slots } from './slots'
import { compact } from './text'

/** Which sessions are a user's: for each user a list through the slots, newest first. */
export class Users {
  readonly #slots: Slots
  readonly #first = new SlotIndex()

  constructor(slots: Slots) {
    this.#slots = slots
  }

  of(slot: number): string | undefined {
    return this.#slots.page(slot).users?.[slot & PAGE_MASK]
  }

  /** The slots of a user, as they are now. */
  slots(user: string): number[] {
    const found: number[] = []
    for (let slot = this.#first.get(user) ?? NONE; slot !== NONE;) {
      found.push(slot)
      slot = this.#slots.page(slot).after![slot & PAGE_MASK]!
    }
    return found
  }

  assign(slot: number, user: string | undefined): void {
    const current = this.of(slot)
    if (current === user) return
    if (current !== undefined) this.#remove(slot, current)
    if (user !== undefined) this.#add(slot, user)
  }

  #add(slot: number, user: string): void {
    const page = withUsers(this.#slots.page(slot))
    const at = slot & PAGE_MASK
    const first = this.#first.get(user) ?? NONE
    page.before![at] = NONE
    page.after![at] = first
    if (first === NONE) {
      page.users![at] = compact(user)
    } else {
      // All sessions of a user share one copy of the name.
      page.users![at] = this.of(first)
      this.#slots.page(first).before![first & PAGE_MASK] = slot
    }
    this.#first.set(page.users![at]!, slot)
  }

  #remove(slot: number, user: string): void {
    const page = this.#slots.page(slot)
    const at = slot & PAGE_MASK
    const before = page.before![at]!
    const after = page.after![at]!
    if (after !== NONE) this.#slots.page(after).before![after & PAGE_MASK] = before
    if (before !== NONE) this.#slots.page(before).after![before & PAGE_MASK] = after
    else if (after !== NONE) this.#first.set(user, after)
    else this.#first.delete(user)
    page.users![at] = undefined
  }
}

function withUsers(page: Page): Page {
  page.users ??= new Array<string | undefined>(PAGE_SIZE).fill(undefined)
  page.before ??= new Int32Array(PAGE_SIZE)
  page.after ??= new Int32Array(PAGE_SIZE)
  return page
}
