'use strict'

const { html, trusted } = require('./html')

// Drawn on a grid of 24, with lines of the text's colour.
const SHAPES = {
  alert: '<path d="M12 4 2.8 19.5h18.4z"/><path d="M12 10v4m0 2.8v.2"/>',
  bolt: '<path d="M13 3 5 14h6l-1 7 8-11h-6z"/>',
  book: '<path d="M5 5a2 2 0 0 1 2-2h12v18H7a2 2 0 0 1-2-2zm0 14a2 2 0 0 1 2-2h12"/>',
  cart: '<path d="M3 4h2.5l2.2 11h9.6L20 7.5H6.3"/><circle cx="9" cy="19.5" r="1.4"/><circle cx="16" cy="19.5" r="1.4"/>',
  chart: '<path d="M4 20h16M7 16v-5m5 5V6m5 10v-3"/>',
  check: '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
  coffee: '<path d="M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zm11 1h1.5a2.5 2.5 0 0 1 0 5H16M8.5 3v2.5M12.5 3v2.5"/>',
  devices:
    '<rect x="3" y="5" width="13" height="10" rx="1.5"/><path d="M2 19h9"/><rect x="15" y="10" width="6" height="10" rx="1.5"/>',
  file: '<path d="M6 3h8l4 4v14H6zm8 0v4h4M9 12h6m-6 4h6"/>',
  home: '<path d="m4 11 8-7 8 7v9h-5.5v-5.5h-5V20H4z"/>',
  key: '<circle cx="8" cy="15" r="4"/><path d="m11 12 8-8m-3 3 2.5 2.5"/>',
  leaf: '<path d="M5 19C5 9 11 5 20 5c0 9-4 14-11 13.5M5 20c1-5 4-8 8-9.5"/>',
  lock: '<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>',
  out: '<path d="M10 4H5v16h5m5-12 4 4-4 4m4-4H10"/>',
  phone: '<rect x="7" y="3" width="10" height="18" rx="2"/><path d="M11 17.8h2"/>',
  screen: '<rect x="3" y="4" width="18" height="12" rx="2"/><path d="M8 20h8m-4-4v4"/>',
  search: '<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5"/>',
  user: '<circle cx="12" cy="8" r="4"/><path d="M4.5 20.5a7.5 7.5 0 0 1 15 0"/>',
  users:
    '<circle cx="9" cy="8.5" r="3.5"/><path d="M2.5 19.5a6.5 6.5 0 0 1 13 0M16 5.5a3.5 3.5 0 0 1 0 6m2 3a6.5 6.5 0 0 1 3.5 5"/>'
}

/** A picture beside a text that says the same: readers of the screen skip it. */
function icon(name) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${trusted(SHAPES[name])}</svg>`
}

module.exports = { icon }
