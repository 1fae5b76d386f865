// The Express half of a shop: the very sessions of the Go half.
const express = require('express')
const { createClient } = require('redis')
const { sessions } = require('silverback')
const { gorillaSessions } = require('silverback/gorilla')

const client = createClient({ url: `redis://${process.env.REDIS_ADDR}` })
client.on('error', (err) => console.error('Redis:', err.code ?? err.name))

const store = gorillaSessions(client, {
  format: 'redistore',
  keyPairs: [[process.env.HASH_KEY, process.env.BLOCK_KEY]],
  types: { cart: 'map[string]int' }
})

const app = express()
app.set('trust proxy', 'loopback')
app.use(express.urlencoded())
app.use(sessions({ name: 'shop', secret: process.env.SESSION_SECRET, store }))

const answer = (req, res) => res.json({ user: req.session.user ?? null, cart: req.session.cart ?? null })

app.post('/login', async (req, res) => {
  // The cart comes along, the ID does not: an attacker may know it.
  await req.session.regenerate({ keep: true })
  req.session.user = req.body.user
  answer(req, res)
})

app.post('/cart', (req, res) => {
  const { item } = req.body
  const cart = (req.session.cart ??= {})
  cart[item] = (cart[item] ?? 0) + 1
  answer(req, res)
})

app.post('/logout', async (req, res) => {
  await req.session.destroy()
  res.json({ user: null, cart: null })
})

app.get('/me', answer)

module.exports = { app, client }
if (require.main === module) client.connect().then(() => app.listen(process.env.PORT, '127.0.0.1'))
