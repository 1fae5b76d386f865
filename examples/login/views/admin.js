'use strict'

const { html } = require('../html')
const { icon } = require('../icons')
const { form } = require('../layout')
const { wide, empty, time } = require('./parts')

const WIDTH = 300
const HEIGHT = 60

function admin(page, { users, activity: now }) {
  const wanted = typeof page.query.q === 'string' ? page.query.q : ''
  return wide('Admin', page, {
    body: html`<section class="card" data-live="/admin/live" aria-label="Activity">${activity(now)}</section>
      <h2>Users</h2>
      <form class="search" role="search">
        <label for="q">Name contains</label>
        <input type="search" id="q" name="q" value="${wanted}" autocapitalize="none" />
        <button class="quiet">${icon('search')} Filter</button>
      </form>
      ${users.length === 0 ? empty('users', 'Nobody has a name like that.') : table(page, users)}`
  })
}

/** The numbers and the chart, also sent alone to pages that are open. */
function activity({ stats, loads, seconds }) {
  const most = Math.max(...loads, 1)
  const step = WIDTH / loads.length
  const bars = loads.map((load, i) => {
    const height = Math.max((load / most) * (HEIGHT - 2), 1)
    return html`<rect x="${i * step + 1}" y="${HEIGHT - height}" width="${step - 2}" height="${height}" rx="1" />`
  })
  const label = `Sessions read in the last minute, every ${seconds} seconds: ${loads.at(-1)} now, ${most} at most`
  const number = (name, value) =>
    html`<div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>`
  return html`<dl class="numbers">
      ${number('Live sessions', stats.active)} ${number('Created', stats.created)} ${number('Ended', stats.destroyed)}
      ${number('Refused', stats.rejected)} ${number('Store errors', stats.errors)}
    </dl>
    <svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">
      ${bars}
    </svg>
    <p class="hint">Sessions read in the last minute, by this process. At most ${most} in ${seconds} seconds.</p>`
}

// On a phone each row is a card (style.css), and then only the roles say that this is a table.
function table(page, users) {
  const headings = ['Name', 'Username', 'Role', 'Devices', 'Last seen', 'Action']
  const cell = (i, value) => html`<td role="cell" data-label="${headings[i]}">${value}</td>`
  const rows = users.map(
    (user) =>
      html`<tr role="row">
        ${cell(0, user.displayName)} ${cell(1, user.username)} ${cell(2, user.role)} ${cell(3, user.sessions)}
        ${cell(4, user.lastUsedAt ? time(user.lastUsedAt) : 'not signed in')}
        ${cell(
          5,
          user.sessions > 0 &&
            form(
              page,
              `/admin/users/${user.username}/sign-out`,
              html`<button class="quiet" aria-label="Sign out ${user.username}">Sign out</button>`
            )
        )}
      </tr>`
  )
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        ${headings.map((heading) => html`<th role="columnheader" scope="col">${heading}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows}
    </tbody>
  </table>`
}

module.exports = { admin, activity }
