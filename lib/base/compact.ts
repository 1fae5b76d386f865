const WIDE = /[\u0100-\uffff]/

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
