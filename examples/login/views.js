'use strict'

const { html, trusted } = require('./html')
const { layout, form } = require('./layout')

const required = trusted('required')

function home(page) {
  const greeting = page.user
    ? html`<p>You are signed in as <strong>${page.user.displayName}</strong>.</p>
        <p><a href="/profile">Your profile</a></p>`
    : html`<p>A small application that signs people in and out, with silverback keeping the sessions.</p>
        <p>
          <a href="/login">Sign in</a> or <a href="/register">create an account</a>. The first account administers.
        </p>`
  return layout(
    'Home',
    page,
    html`${page.signedOut && !page.user && html`<p class="note" role="status">You are signed out.</p>`}
      <div class="card">
        <h1>Hello</h1>
        ${greeting}
      </div>`
  )
}

function register(page) {
  const fields = html`
    ${field(page, 'username', 'Username', { autocomplete: 'username', hint: 'A letter first; then letters, digits, hyphens.' })}
    ${field(page, 'password', 'Password', {
      type: 'password',
      autocomplete: 'new-password',
      hint: 'At least 12 characters. A few words make a good one.'
    })}
    <button>Create account</button>
  `
  return narrow('Register', page, form(page, '/register', fields), html`<a href="/login">I have an account</a>`)
}

function login(page) {
  const fields = html`
    ${field(page, 'username', 'Username', { autocomplete: 'username' })}
    ${field(page, 'password', 'Password', { type: 'password', autocomplete: 'current-password' })}
    <p class="check">
      <input type="checkbox" id="remember" name="remember" ${page.input.remember && trusted('checked')} />
      <label for="remember">Keep me signed in for 30 days</label>
    </p>
    <button>Sign in</button>
  `
  return narrow('Sign in', page, form(page, '/login', fields), html`<a href="/register">Create an account</a>`)
}

function profile(page, user) {
  const values = page.problem ? page.input : user
  const fields = html`
    ${field(page, 'displayName', 'Display name', { autocomplete: 'nickname', value: values.displayName })}
    <label for="bio">About you</label>
    <textarea id="bio" name="bio" rows="4" maxlength="300" ${invalid(page, 'bio')}>${values.bio}</textarea>
    <button>Save</button>
  `
  return narrow(
    'Your profile',
    page,
    html`<p class="hint">Username: ${user.username}</p>
      ${form(page, '/profile', fields)}`
  )
}

function password(page) {
  const fields = html`
    ${field(page, 'password', 'Current password', { type: 'password', autocomplete: 'current-password' })}
    ${field(page, 'newPassword', 'New password', {
      type: 'password',
      autocomplete: 'new-password',
      hint: 'At least 12 characters. Your other devices will be signed out.'
    })}
    <button>Change password</button>
  `
  return narrow('Change password', page, form(page, '/password', fields))
}

function sessions(page, entries) {
  const rows = entries.map(
    ({ handle, device, createdAt, lastUsedAt, current }) =>
      html`<tr>
        <td>${device}${current && html` <strong>(this one)</strong>`}</td>
        <td>${time(createdAt)}</td>
        <td>${time(lastUsedAt)}</td>
        <td>
          ${form(
            page,
            `/sessions/${handle}/end`,
            html`<button class="plain" aria-label="Sign out ${device}, since ${minute(createdAt)}">Sign out</button>`
          )}
        </td>
      </tr>`
  )
  return wide('Your sessions', page, ['Device', 'Since (UTC)', 'Last used (UTC)', ''], rows)
}

function admin(page, users) {
  const rows = users.map(
    (user) =>
      html`<tr>
        <td>${user.username}</td>
        <td>${user.displayName}</td>
        <td>${user.role}</td>
        <td>${user.sessions}</td>
      </tr>`
  )
  return wide('Users', page, ['Username', 'Name', 'Role', 'Sessions'], rows)
}

/** Any error; needs no session. */
function failure(problem) {
  const body = html`<div class="card">
    <h1>${problem.status}</h1>
    <p>${problem.message}</p>
    <p><a href="/">Home</a></p>
  </div>`
  return layout(String(problem.status), {}, body)
}

function narrow(title, page, body, below) {
  const alert = page.problem && html`<p class="alert" role="alert" id="problem">${page.problem.message}</p>`
  return layout(
    title,
    page,
    html`<div class="card narrow">
      <h1>${title}</h1>
      ${alert} ${body} ${below && html`<p>${below}</p>`}
    </div>`
  )
}

function wide(title, page, headings, rows) {
  return layout(
    title,
    page,
    html`<div class="card">
      <h1>${title}</h1>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              ${headings.map((heading) => (heading ? html`<th scope="col">${heading}</th>` : html`<td></td>`))}
            </tr>
          </thead>
          <tbody>
            ${rows}
          </tbody>
        </table>
      </div>
    </div>`
  )
}

// A password is never sent back into the form.
function field(page, name, label, { type = 'text', autocomplete, hint, value = page.input[name] }) {
  const hintId = `${name}-hint`
  return html`<label for="${name}">${label}</label>
    ${hint && html`<p class="hint" id="${hintId}">${hint}</p>`}
    <input
      type="${type}"
      id="${name}"
      name="${name}"
      autocomplete="${autocomplete}"
      value="${type === 'password' ? '' : value}"
      ${hint && html`aria-describedby="${hintId}"`}
      ${required}
      ${invalid(page, name)}
    />`
}

function invalid(page, name) {
  return page.problem?.field === name && trusted('aria-invalid="true" aria-errormessage="problem"')
}

function time(iso) {
  return html`<time datetime="${iso}">${minute(iso)}</time>`
}

function minute(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)}`
}

module.exports = { home, register, login, profile, password, sessions, admin, failure }
