'use strict'

const { html } = require('../html')
const { icon } = require('../icons')
const { layout } = require('../layout')

const NAMES = { displayName: 'Display name', bio: 'About you', username: 'Username', product: 'Product' }
const TITLES = { 403: 'Not allowed', 404: 'Not found', 429: 'Too many attempts', 503: 'Not available right now' }

/** Any error; needs no session. What was typed is here to be copied: nothing somebody wrote is lost. */
function failure(page, problem, typed) {
  const title = TITLES[problem.status] ?? 'Something went wrong'
  const copies = typed.map(
    ([name, value]) =>
      html`<div class="field">
        <label for="typed-${name}">${NAMES[name] ?? name}</label>
        <textarea id="typed-${name}" rows="2" readonly>${value}</textarea>
      </div>`
  )
  return layout(
    title,
    page,
    html`<div class="card narrow">
      <p class="status">${icon('alert')} ${problem.status}</p>
      <h1>${title}</h1>
      <p role="alert" tabindex="-1" autofocus>${problem.message}</p>
      ${
        typed.length > 0 &&
        html`<h2>What you typed</h2>
          ${copies}`
      }
      <p class="actions"><a class="button" href="/">Home</a></p>
    </div>`
  )
}

module.exports = { failure }
