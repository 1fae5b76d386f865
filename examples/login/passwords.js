'use strict'

const { randomBytes, scrypt, timingSafeEqual } = require('node:crypto')
const { promisify } = require('node:util')

const derive = promisify(scrypt)

// OWASP Password Storage Cheat Sheet, scrypt: N=2^15, r=8, p=3 is one of its equal choices, at 32 MiB a hash.
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 }
const KEY_BYTES = 32
const SALT_BYTES = 16

// What an unknown user's password is compared with: the answer takes as long, and is always no.
const NOBODY = encode(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES))

/** The text to keep instead of a password, with a salt of its own. */
async function hash(password) {
  const salt = randomBytes(SALT_BYTES)
  return encode(salt, await keyOf(password, salt))
}

/** Whether a password is the one behind `stored`; `stored` is `undefined` for a user who does not exist. */
async function verify(password, stored) {
  const [salt, key] = (stored ?? NOBODY).split('.').map((part) => Buffer.from(part, 'base64url'))
  const same = timingSafeEqual(await keyOf(password, salt), key)
  return same && stored !== undefined
}

// One character can be typed as different code points on different keyboards: NFKC makes them one.
function keyOf(password, salt) {
  return derive(password.normalize('NFKC'), salt, KEY_BYTES, COST)
}

function encode(salt, key) {
  return `${salt.toString('base64url')}.${key.toString('base64url')}`
}

module.exports = { hash, verify }
