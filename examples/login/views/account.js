'use strict'

const { html } = require('../html')
const { icon } = require('../icons')
const { form } = require('../layout')
const { count } = require('../words')
const { narrow, wide, field, empty, time } = require('./parts')

function profile(page, user) {
  const values = page.problem ? page.input : user
  const fields = html`
    ${field(page, 'displayName', 'Display name', { autocomplete: 'nickname', value: values.displayName, more: 'required' })}
    ${field(page, 'bio', 'About you', { type: 'textarea', rows: 4, maxlength: 300, value: values.bio })}
    <button>Save</button>
  `
  return narrow('Your account', page, {
    lead: html`Username: <strong>${user.username}</strong>`,
    body: form(page, '/profile', fields),
    below: html`<a href="/password">${icon('key')} Change password</a> <a href="/data">${icon('file')} Your data</a>`
  })
}

function sessions(page, entries) {
  const others = entries.filter(({ current }) => !current)
  const all = html`<ul class="stack">
    ${entries.map((entry) => device(page, entry))}
  </ul>`
  return wide('Your devices', page, {
    lead: `You are signed in on ${count(entries.length, 'device')}. One you do not know? Sign it out and change your password.`,
    body: html`${all}
    ${
      others.length > 0
        ? form(page, '/sessions/end-others', html`<button class="danger">Sign out everywhere else</button>`)
        : empty('devices', 'No other device. Sign in with a second browser, and it appears here.')
    }`
  })
}

function device(page, { handle, device, place, createdAt, lastUsedAt, current }) {
  const isPhone = /Android|iOS/.test(device)
  return html`<li class="card row">
    ${icon(isPhone ? 'phone' : 'screen')}
    <div>
      <h2>${device} ${current && html`<b class="badge">This device</b>`}</h2>
      <p>${place}. Last seen ${time(lastUsedAt)}, signed in ${time(createdAt)}.</p>
    </div>
    ${form(page, `/sessions/${handle}/end`, html`<button class="quiet" aria-label="Sign out ${device}${current && ', this device'}">Sign out</button>`)}
  </li>`
}

function data(page, { sessions, ...user }) {
  const facts = Object.entries({
    ...user,
    sessions: sessions.map(({ device, place }) => `${device}, ${place}`).join('; ')
  })
  return narrow('Your data', page, {
    lead: 'Everything that is kept about you.',
    body: html`<dl>
        ${facts.map(
          ([name, value]) =>
            html`<dt>${name}</dt>
              <dd>${value || '-'}</dd>`
        )}
      </dl>
      <a class="button" href="/data.json" download>Download as JSON</a>`,
    below: html`<a href="/profile">Back to your account</a>`
  })
}

module.exports = { profile, sessions, data }
