import type { Milliseconds } from '../../base/time'

/** Whether Go's `Time.UnmarshalBinary` takes it. */
export function isTimeBinary(bytes: Buffer): boolean {
  return bytes.length === (bytes[0] === 1 ? V1_LENGTH : bytes[0] === 2 ? V2_LENGTH : -1)
}

/** Seconds from Go's beginning of time (year 1) to 1970. */
const YEAR_1 = 62_135_596_800n
const V1_LENGTH = 15
/** With one more byte: seconds of the zone's offset. */
const V2_LENGTH = 16
const UTC = -1
const MINUTES_A_DAY = 24 * 60
const TEXT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/

/**
 * The RFC 3339 text of what Go's `Time.MarshalBinary` wrote, to the nanosecond and in its zone; `undefined` for
 * anything else, and outside the years 1 to 9999. A zone that RFC 3339 cannot name becomes UTC, the instant stays.
 */
export function timeFromBinary(bytes: Buffer): string | undefined {
  if (!isTimeBinary(bytes)) return undefined
  const seconds = Number(bytes.readBigInt64BE(1) - YEAR_1)
  const nanoseconds = bytes.readInt32BE(9)
  if (nanoseconds < 0 || nanoseconds > 999_999_999) return undefined
  const minutes = bytes.readInt16BE(13)
  const nameable = minutes !== UTC && !bytes[V1_LENGTH] && Math.abs(minutes) < MINUTES_A_DAY
  const offset = nameable ? minutes : 0
  const clock = isoOf((seconds + offset * 60) * 1000)
  if (clock === undefined || isoOf(seconds * 1000) === undefined) return undefined
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '')
  return `${clock}${fraction && `.${fraction}`}${zoneOf(offset)}`
}

/** What Go's `Time.MarshalBinary` writes for an RFC 3339 text; `undefined` when it is none. */
export function timeToBinary(text: string): Buffer | undefined {
  const match = TEXT.exec(text)
  if (match === null) return undefined
  const [, clock, fraction = '', sign, hours = '0', rest = '0'] = match
  const local = Date.parse(`${clock}Z`)
  // Date.parse moves February 30 into March; a time that does not come back is none.
  if (isoOf(local) !== clock || Number(hours) > 23 || Number(rest) > 59) return undefined
  const offset = (Number(hours) * 60 + Number(rest)) * (sign === '-' ? -1 : 1)
  const instant = local - offset * 60_000
  if (isoOf(instant) === undefined) return undefined
  const bytes = Buffer.alloc(V1_LENGTH)
  bytes[0] = 1
  bytes.writeBigInt64BE(BigInt(instant / 1000) + YEAR_1, 1)
  bytes.writeInt32BE(Number(fraction.padEnd(9, '0')), 9)
  bytes.writeInt16BE(offset === 0 ? UTC : offset, 13)
  return bytes
}

/** The RFC 3339 text of a date; `undefined` for an invalid one, and outside the years 1 to 9999. */
export function timeFromDate(date: Date): string | undefined {
  const time = date.getTime()
  return Number.isNaN(time) || isoOf(time) === undefined ? undefined : date.toISOString()
}

function isoOf(time: Milliseconds): string | undefined {
  if (!(Math.abs(time) <= 8.64e15)) return undefined
  const iso = new Date(time).toISOString()
  // Six-digit years begin with a sign; Go's first year is 1.
  return /^\d{4}-/.test(iso) && !iso.startsWith('0000') ? iso.slice(0, 19) : undefined
}

// Go keeps a zone of exactly -1 minute for "UTC", so nothing is ever there.
function zoneOf(minutes: number): string {
  if (minutes === 0) return 'Z'
  const size = Math.abs(minutes)
  const two = (part: number) => String(part).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}
