'use strict'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const UNITS = [
  ['year', 365 * DAY],
  ['month', 30 * DAY],
  ['week', 7 * DAY],
  ['day', DAY],
  ['hour', HOUR],
  ['minute', MINUTE]
]
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** How long ago, in words: "just now", "5 minutes ago", "yesterday". Also what is to come: "in 3 days". */
function ago(time, now = Date.now()) {
  const distance = time - now
  const unit = UNITS.find(([, length]) => Math.abs(distance) >= length)
  return unit === undefined ? 'just now' : relative.format(Math.trunc(distance / unit[1]), unit[0])
}

/** A number with its noun: "1 device", "2 devices". */
function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

module.exports = { ago, count }
