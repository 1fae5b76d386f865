// Two applications on one domain: they share the login, and the shop has a cart that the other never sees.
const express = require('express')
const { MemoryStore, sessions } = require('silverback')

// The same name, secret and store in both: one login. In two processes it is a store that both reach.
const login = { secret: process.env.SESSION_SECRET, name: 'login', store: new MemoryStore() }

const accounts = express()
accounts.use(sessions(login))
accounts.post('/login/:user', async (req, res) => {
  await req.session.regenerate()
  req.session.user = req.params.user
  res.json({ user: req.session.user })
})

const shop = express()
shop.use(sessions({ ...login, named: { cart: { cookie: { path: '/shop' } } } }))
shop.post('/cart/:item', async (req, res) => {
  const cart = await req.sessions.get('cart')
  cart.items = [...(cart.items ?? []), req.params.item]
  res.json({ user: req.session.user ?? null, items: cart.items })
})

const app = express()
app.use('/accounts', accounts)
app.use('/shop', shop)

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
