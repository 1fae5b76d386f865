import { META } from './parsed-record'

/**
 * What most records begin with. A record that is sent with every request goes without it, and with a letter in its place;
 * so does one that a store in memory keeps for later. Part of the format of sealed cookies: append, never change. (Data is
 * not compressed: its length would tell about it.)
 */
const BEGINNINGS = ['false', 'true', '"auto"'].map((secure, i) => ({
  letter: 'abc'[i]!,
  text:
    `{"cookie":{"originalMaxAge":null,"expires":null,"secure":${secure},"httpOnly":true,"path":"/","sameSite":"lax"},` +
    `"${META}":{"u":`
}))

/** The text of a record, shorter where it begins as most do. */
export function packRecord(text: string): string {
  // Not `startsWith`, which takes ten times as long for so many characters.
  const known = BEGINNINGS.find((beginning) => text.slice(0, beginning.text.length) === beginning.text)
  return known === undefined ? text : known.letter + text.slice(known.text.length)
}

/** The text that `packRecord` was given; what it has not packed is left alone. */
export function unpackRecord(packed: string): string {
  const known = BEGINNINGS.find(({ letter }) => packed.startsWith(letter))
  return known === undefined ? packed : known.text + packed.slice(1)
}
