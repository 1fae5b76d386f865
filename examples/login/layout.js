'use strict'

const { html, trusted } = require('./html')
const { css } = require('./style')

// Made apart from the page: the policy allows it by its hash, down to the last space.
const STYLE = trusted(`<style>${css}</style>`)

/** The frame around every page. `page.user` and the like are absent where the session could not be read. */
function layout(title, page, body) {
  return html`<!doctype html>
    <html lang="en" data-theme="${page.theme ?? 'light'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} - Login example</title>
        <link rel="icon" href="data:," />
        ${STYLE}
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        <header>${navigation(page)}</header>
        <main id="main">
          ${(page.flashes ?? []).map((text) => html`<p class="note" role="status">${text}</p>`)} ${body}
        </main>
        <footer>${page.hasSession && themeForm(page)}</footer>
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

function navigation(page) {
  const link = (path, text) =>
    html`<a href="${path}" ${page.path === path && trusted('aria-current="page"')}>${text}</a>`
  const brand = html`<a class="brand" href="/">Login example</a>`
  if (!page.user) return html`${brand} ${link('/login', 'Sign in')} ${link('/register', 'Register')}`
  return html`${brand} ${link('/profile', 'Profile')} ${link('/password', 'Password')} ${link('/sessions', 'Sessions')}
  ${page.user.role === 'admin' && link('/admin', 'Users')}
  ${form(page, '/logout', html`<button class="plain">Sign out</button>`)}`
}

function themeForm(page) {
  const other = page.theme === 'dark' ? 'light' : 'dark'
  return form(
    page,
    '/theme',
    html`<input type="hidden" name="back" value="${page.path}" />
      <button class="plain" name="theme" value="${other}">Switch to ${other}</button>`
  )
}

module.exports = { layout, form }
