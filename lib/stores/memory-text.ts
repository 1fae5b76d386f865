/**
 * The same characters, and nothing that V8 would keep along with them: the parts they were joined from, the Cookie
 * header they were cut out of. A joined text takes half as much again, a cut one holds all of its header.
 */
export function compact(text: string): string {
  return narrow(text) ?? Buffer.from(text, 'utf16le').toString('utf16le')
}

/** The same for a text of Latin-1 characters, one byte each; `undefined` for any other. */
export function narrow(text: string): string | undefined {
  const copy = Buffer.from(text, 'latin1').toString('latin1')
  return copy === text ? copy : undefined
}
