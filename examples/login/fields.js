'use strict'

const { Problem } = require('./problem')

// A body is whatever somebody sent: every reader here takes any value and gives a string that fits, or a problem.

function text(input, field) {
  const value = input?.[field]
  return typeof value === 'string' ? value : ''
}

/** The name to look a user up by; never a problem, as a wrong one is simply unknown. */
function lookupName(input) {
  return text(input, 'username').trim().toLowerCase().slice(0, 64)
}

function newUsername(input) {
  const username = lookupName(input)
  if (/^[a-z][a-z0-9_-]{2,31}$/.test(username)) return username
  throw new Problem(422, 'A username has 3 to 32 characters: a letter, then letters, digits, hyphens or underscores.', {
    field: 'username'
  })
}

function newPassword(input, field) {
  const password = text(input, field)
  const length = [...password].length
  if (length >= 12 && length <= 128) return password
  throw new Problem(422, 'A password has 12 to 128 characters.', { field })
}

function displayName(input) {
  const name = text(input, 'displayName').trim()
  if (name.length >= 1 && name.length <= 60) return name
  throw new Problem(422, 'A display name has 1 to 60 characters.', { field: 'displayName' })
}

function bio(input) {
  const about = text(input, 'bio').trim()
  if (about.length <= 300) return about
  throw new Problem(422, 'About you: at most 300 characters.', { field: 'bio' })
}

/** A ticked box of a form (`on`) or `true` of a JSON body. */
function ticked(input, field) {
  return input?.[field] === true || input?.[field] === 'on'
}

module.exports = { text, lookupName, newUsername, newPassword, displayName, bio, ticked }
