/** Node 20 and 22. */
const COPIES = Number.parseInt(process.versions.v8, 10) < 13

/**
 * Prepares a request or response of Express for the properties that a session adds.
 *
 * Express gives both another prototype. V8 before version 13 shares no hidden class between such objects: each property
 * that is added then copies the descriptions of all that are there, which costs more than everything else a session
 * does. As a dictionary the object takes them, and those that Express itself adds later, at a small part of that.
 *
 * @param name a property that Express has put there: to delete it is what makes V8 change the representation.
 */
export function useDictionaryMode(object: object, name: string): void {
  if (!COPIES || Object.getPrototypeOf(object) === object.constructor?.prototype) return
  const own = Object.getOwnPropertyDescriptor(object, name)
  if (own !== undefined && Reflect.deleteProperty(object, name)) Object.defineProperty(object, name, own)
}
