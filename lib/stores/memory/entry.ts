import type { Found } from '../../store/contract'
import type { Milliseconds } from '../../base/time'

const WIDE = /[\u0100-\uffff]/

/** A session as a MemoryStore holds it, with its neighbours in the order of use. Some 120 bytes beside the texts. */
export class Entry {
  readonly id: string
  text: string
  /** Of the text. */
  bytes = 0
  usedAt: Milliseconds
  /** From last use to expiry; `null`: never. A span, since V8 keeps small integers in place and boxes large ones. */
  span: Milliseconds | null = null
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined
  ownership: Ownership | undefined = undefined

  constructor(id: string, text: string, usedAt: Milliseconds) {
    this.id = id
    this.text = text
    this.usedAt = usedAt
  }

  get expiresAt(): Milliseconds | null {
    return this.span === null ? null : this.usedAt + this.span
  }

  isExpired(now: Milliseconds): boolean {
    return this.span !== null && this.usedAt + this.span <= now
  }

  get found(): Found {
    return { text: this.text, usedAt: this.usedAt, expiresAt: this.expiresAt }
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

/** Whose a session is, with its neighbours among that user's sessions. */
export class Ownership {
  readonly user: string
  newer: Entry | undefined = undefined
  older: Entry | undefined

  constructor(user: string, older: Entry | undefined) {
    this.user = user
    this.older = older
  }
}
