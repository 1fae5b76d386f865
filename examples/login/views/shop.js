'use strict'

const { html } = require('../html')
const { icon } = require('../icons')
const { form } = require('../layout')
const { wide, empty } = require('./parts')

const price = (cents) => `${(cents / 100).toFixed(2)} EUR`

function shop(page, { products, lines, cents }) {
  const change = (action, { id }, button) =>
    form(page, `/shop/${action}`, html`<input type="hidden" name="product" value="${id}" />${button}`)
  const offers = products.map(
    (product) =>
      html`<li class="card">
        ${icon(product.icon)}
        <h2>${product.name}</h2>
        <p>${product.about}, ${price(product.cents)}</p>
        ${change('add', product, html`<button aria-label="Add ${product.name}">Add</button>`)}
      </li>`
  )
  const cart = lines.map(
    (line) =>
      html`<li class="row">
        ${icon(line.icon)}
        <p>${line.quantity} x ${line.name}</p>
        <p>${price(line.cents * line.quantity)}</p>
        ${change('remove', line, html`<button class="quiet" aria-label="Remove one ${line.name}">Remove</button>`)}
      </li>`
  )
  return wide('Shop', page, {
    lead: 'Your cart is a session of its own, kept for a month: sign in or out, it stays.',
    body: html`<ul class="grid">
        ${offers}
      </ul>
      <section class="card">
        <h2>Your cart</h2>
        ${
          lines.length === 0
            ? empty('cart', 'Nothing in it yet.')
            : html`<ul class="lines">
                  ${cart}
                </ul>
                <p class="total">Together <strong>${price(cents)}</strong></p>`
        }
      </section>`
  })
}

module.exports = { shop }
