'use strict'

const { Problem } = require('./problem')
const fields = require('./fields')

const PRODUCTS = [
  { id: 'tea', name: 'Green tea', about: '100 g, loose', cents: 690, icon: 'leaf' },
  { id: 'coffee', name: 'Coffee', about: '250 g, whole beans', cents: 940, icon: 'coffee' },
  { id: 'book', name: 'A good book', about: 'Paperback', cents: 1450, icon: 'book' }
]
const byId = new Map(PRODUCTS.map((product) => [product.id, product]))

// The cart is a session of its own (`named` in app.js): signing out ends `req.session`, and leaves the cart alone.

async function showCart(req) {
  const { items = {} } = await req.sessions.get('cart')
  const lines = PRODUCTS.filter(({ id }) => items[id] > 0).map((product) => ({
    ...product,
    quantity: items[product.id]
  }))
  return { products: PRODUCTS, lines, cents: lines.reduce((sum, { cents, quantity }) => sum + cents * quantity, 0) }
}

async function countCart(req) {
  const { items = {} } = await req.sessions.get('cart')
  return Object.values(items).reduce((sum, quantity) => sum + quantity, 0)
}

/** Adds what the form names, or takes it out; `update` so that two clicks at once both count. */
const changeCart = (by) => async (req) => {
  const product = byId.get(fields.text(req.body, 'product'))
  if (!product) throw new Problem(404, 'There is no such product.')
  const cart = await req.sessions.get('cart')
  await cart.update((session) => {
    const quantity = (session.items?.[product.id] ?? 0) + by
    session.items = { ...session.items, [product.id]: Math.min(Math.max(quantity, 0), 99) }
  })
}

module.exports = { showCart, countCart, addToCart: changeCart(1), takeFromCart: changeCart(-1) }
