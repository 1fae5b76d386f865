'use strict'

const { html, trusted } = require('../html')
const { icon } = require('../icons')
const { layout } = require('../layout')
const { ago } = require('../words')

/** A page with one card in the middle: a form, or a few sentences. */
function narrow(title, page, { lead, body, below }) {
  // A problem of one field stands at that field.
  const alert =
    page.problem &&
    !page.problem.field &&
    html`<p class="notice bad" role="alert" tabindex="-1" autofocus>
      ${icon('alert')}<span>${page.problem.message}</span>
    </p>`
  return layout(
    page.problem ? `Problem: ${title}` : title,
    page,
    html`<div class="card narrow">
      <h1>${title}</h1>
      ${lead && html`<p class="lead">${lead}</p>`} ${alert} ${body} ${below && html`<p class="below">${below}</p>`}
    </div>`
  )
}

/** A page with a heading and whatever follows. */
function wide(title, page, { lead, body }) {
  return layout(
    title,
    page,
    html`<h1>${title}</h1>
      ${lead && html`<p class="lead">${lead}</p>`} ${body}`
  )
}

/** An input with its label; marked, focused and explained where it holds the problem. A password is never sent back. */
function field(page, name, label, { type = 'text', hint, value = page.input[name], more = '', ...attributes }) {
  const problem = page.problem?.field === name && page.problem.message
  const described = [hint && `${name}-hint`, problem && `${name}-problem`].filter(Boolean).join(' ')
  const marks = html`id="${name}" name="${name}" ${described && html`aria-describedby="${described}"`}
  ${problem && trusted('aria-invalid="true" autofocus')}
  ${Object.entries(attributes).map(([key, text]) => html` ${trusted(key)}="${text}"`)} ${trusted(more)}`
  const input =
    type === 'textarea'
      ? html`<textarea ${marks}>${value}</textarea>`
      : html`<input type="${type}" ${marks} value="${type === 'password' ? '' : value}" />`
  return html`<div class="field">
    <label for="${name}">${label}</label>
    ${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`} ${input}
    ${problem && html`<p class="problem" id="${name}-problem" role="alert">${icon('alert')}<span>${problem}</span></p>`}
  </div>`
}

/** What there is to see where there is nothing yet. */
function empty(name, text) {
  return html`<div class="empty">
    ${icon(name)}
    <p>${text}</p>
  </div>`
}

function time(iso) {
  return html`<time datetime="${iso}" title="${iso.slice(0, 16).replace('T', ' ')} UTC">${ago(Date.parse(iso))}</time>`
}

module.exports = { narrow, wide, field, empty, time }
