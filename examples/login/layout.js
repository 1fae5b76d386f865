'use strict'

const { html, trusted } = require('./html')
const { icon } = require('./icons')

/** The frame around every page. `page.user` and the like are absent where the session could not be read. */
function layout(title, page, body) {
  return html`<!doctype html>
    <html lang="en" ${page.theme && html`data-theme="${page.theme}"`}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} - Login example</title>
        <link rel="icon" href="/icon.svg" />
        <link rel="stylesheet" href="/style.css" />
        ${page.user && trusted('<script src="/live.js" defer></script>')}
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        <header>
          <a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28" />Login example</a>
          ${navigation(page)}
          ${
            page.user && form(page, '/logout', html`<button class="quiet">${icon('out')}<span>Sign out</span></button>`)
          }
        </header>
        <main id="main" tabindex="-1">${(page.flashes ?? []).map((text) => notice('good', text))} ${body}</main>
        <footer>
          <p>An example of <strong>silverback</strong>, sessions for Express.</p>
          ${page.hasSession && themeForm(page)}
        </footer>
        ${page.user && endedDialog}
      </body>
    </html>`
}

/** A form that brings the token every unsafe request needs. */
function form(page, action, fields) {
  return html`<form method="post" action="${action}">
    <input type="hidden" name="_csrf" value="${page.csrf}" />
    ${fields}
  </form>`
}

/** A line that says what has just happened. */
function notice(kind, text) {
  return html`<p class="notice ${kind}" role="status">
    ${icon(kind === 'good' ? 'check' : 'alert')}<span>${text}</span>
  </p>`
}

function navigation(page) {
  const link = (path, name, text, badge) =>
    html`<a href="${path}" ${page.path === path && trusted('aria-current="page"')}>
      ${icon(name)}<span>${text}${badge > 0 && html` <b class="badge">${badge}</b>`}</span>
    </a>`
  const own = page.user
    ? html`${link('/sessions', 'devices', 'Devices')} ${link('/profile', 'user', 'Account')}
      ${page.user.role === 'admin' && link('/admin', 'chart', 'Admin')}`
    : html`${link('/login', 'key', 'Sign in')} ${link('/register', 'user', 'Register')}`
  return html`<nav aria-label="Pages">
    ${link('/', 'home', 'Home')} ${link('/shop', 'cart', 'Shop', page.cartCount)} ${own}
  </nav>`
}

function themeForm(page) {
  const choice = (value, text) =>
    html`<button class="quiet" name="theme" value="${value}" aria-pressed="${String((page.theme ?? '') === value)}">
      ${text}
    </button>`
  const fields = html`<input type="hidden" name="back" value="${page.path}" />
    <div class="choices" role="group" aria-label="Colours">
      ${choice('', 'System')} ${choice('light', 'Light')} ${choice('dark', 'Dark')}
    </div>`
  return form(page, '/theme', fields)
}

// Opened by public/live.js when the session ends while the page is open.
const endedDialog = html`<dialog id="ended" aria-labelledby="ended-title" aria-describedby="ended-reason">
  ${icon('lock')}
  <h2 id="ended-title">You are signed out</h2>
  <p id="ended-reason"></p>
  <a class="button" href="/login">Sign in again</a>
</dialog>`

module.exports = { layout, form, notice }
