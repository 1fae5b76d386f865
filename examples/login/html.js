'use strict'

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

class Markup {
  constructor(text) {
    this.text = text
  }

  toString() {
    return this.text
  }
}

/**
 * Tags a template as markup. Every value in it is escaped, except what is markup itself; lists are joined,
 * `undefined`, `null` and `false` leave nothing.
 */
function html(strings, ...values) {
  return new Markup(String.raw({ raw: strings }, ...values.map(render)))
}

/** Text that is markup already. For constants of this application only. */
function trusted(text) {
  return new Markup(text)
}

function render(value) {
  if (Array.isArray(value)) return value.map(render).join('')
  if (value instanceof Markup) return value.text
  if (value === undefined || value === null || value === false) return ''
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character])
}

module.exports = { html, trusted }
