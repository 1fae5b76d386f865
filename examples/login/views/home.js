'use strict'

const { html } = require('../html')
const { icon } = require('../icons')
const { layout, notice } = require('../layout')

const TOUR = [
  [
    'devices',
    'Sign out another device',
    '/sessions',
    'Sign in with a second browser. Sign it out from here: its page says so within a second, and why.'
  ],
  ['cart', 'Fill the cart, then sign out', '/shop', 'The cart is a session of its own. It stays when the login ends.'],
  ['lock', 'Look at your data', '/data', 'It asks for the password again, even though you are signed in.'],
  ['key', 'Change the password', '/password', 'Every other device is signed out, this one gets a new session ID.'],
  ['bolt', 'Close the browser', '/login', 'The session ends with it, unless "keep me signed in" was ticked.'],
  [
    'chart',
    'Watch the numbers',
    '/admin',
    'For the administrator: live activity, all users, and a button that signs them out.'
  ]
]

function home(page) {
  const tour = TOUR.map(
    ([name, title, path, text]) =>
      html`<li class="card">
        ${icon(name)}
        <h3><a href="${path}">${title}</a></h3>
        <p>${text}</p>
      </li>`
  )
  return layout(
    'Home',
    page,
    html`${!page.user && 'signed-out' in page.query && notice('good', 'You are signed out.')}
      <section class="hero">${page.user ? memberHero(page.user) : guestHero}</section>
      <h2>Things to try</h2>
      <ul class="grid">
        ${tour}
      </ul>`
  )
}

const guestHero = html`<h1>Logins, and what becomes of them</h1>
  <p class="lead">
    A small application that signs people in and shows what good sessions do: they end when they should, everywhere, and
    say why. No page needs JavaScript.
  </p>
  <p class="actions">
    <a class="button" href="/register">Create an account</a>
    <a class="button quiet" href="/login">Sign in</a>
  </p>`

const memberHero = (user) =>
  html`<h1>Hello, ${user.displayName}</h1>
    <p class="lead">
      You are signed in. Open this address in a second browser as well: most of what follows needs two.
    </p>
    <p class="actions">
      <a class="button" href="/sessions">Your devices</a>
      <a class="button quiet" href="/profile">Your account</a>
    </p>`

module.exports = { home }
