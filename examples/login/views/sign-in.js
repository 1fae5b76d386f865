'use strict'

const { html, trusted } = require('../html')
const { form, notice } = require('../layout')
const { narrow, field } = require('./parts')

const username = {
  autocomplete: 'username',
  autocapitalize: 'none',
  spellcheck: 'false',
  more: 'required'
}
const currentPassword = { type: 'password', autocomplete: 'current-password', more: 'required' }
const newPassword = { type: 'password', autocomplete: 'new-password', more: 'required' }

// Tells a password manager whose password is asked for.
const whose = (page) =>
  html`<input class="whose" type="text" autocomplete="username" value="${page.user.username}" readonly hidden />`

function register(page) {
  const adminToken = page.input.adminToken ?? page.query.admin
  const fields = html`
    ${field(page, 'username', 'Username', { ...username, hint: 'A letter first; then letters, digits, hyphens.' })}
    ${field(page, 'password', 'Password', {
      ...newPassword,
      hint: 'At least 12 characters. A few words make a good one.'
    })}
    ${
      adminToken &&
      field(page, 'adminToken', 'Administrator token', {
        value: adminToken,
        autocomplete: 'off',
        hint: 'Printed when the application started. Empty it to register as a member.'
      })
    }
    <button>Create account</button>
  `
  return narrow('Register', page, {
    body: form(page, '/register', fields),
    below: html`<a href="/login">I have an account</a>`
  })
}

function login(page, ended) {
  const fields = html`
    ${field(page, 'username', 'Username', username)} ${field(page, 'password', 'Password', currentPassword)}
    <p class="check">
      <input type="checkbox" id="remember" name="remember" ${page.input.remember && trusted('checked')} />
      <label for="remember">Keep me signed in for 30 days</label>
    </p>
    <button>Sign in</button>
  `
  return narrow('Sign in', page, {
    body: html`${ended && notice('bad', html`<strong>Your session has ended.</strong> ${ended}`)}
    ${form(page, '/login', fields)}`,
    below: html`<a href="/register">Create an account</a>`
  })
}

/** Step-up, before something sensitive. */
function confirm(page) {
  const fields = html`${whose(page)} ${field(page, 'password', 'Password', currentPassword)} <button>Continue</button>`
  return narrow('Is it you?', page, {
    lead: 'What comes next is sensitive. Please give your password once more; that holds for five minutes.',
    body: form(page, '/confirm', fields)
  })
}

function password(page) {
  const fields = html`${whose(page)} ${field(page, 'password', 'Current password', currentPassword)}
    ${field(page, 'newPassword', 'New password', {
      ...newPassword,
      hint: 'At least 12 characters. Your other devices will be signed out.'
    })} <button>Change password</button>`
  return narrow('Change password', page, {
    body: form(page, '/password', fields),
    below: html`<a href="/profile">Back to your account</a>`
  })
}

module.exports = { register, login, confirm, password }
