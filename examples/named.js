// Several sessions in one request: a cart that outlives the login, preferences that outlive both.
const express = require('express')
const { sessions } = require('silverback')

const DAY = 24 * 60 * 60 * 1000
const app = express()
app.use(
  sessions({
    secret: process.env.SESSION_SECRET,
    idle: DAY / 48,
    named: {
      cart: { idle: 7 * DAY, cookie: { maxAge: 7 * DAY } },
      preferences: { idle: 365 * DAY, absolute: null, cookie: { maxAge: 365 * DAY } }
    }
  })
)

app.post('/cart/:item', async (req, res) => {
  const cart = await req.sessions.get('cart')
  cart.items = [...(cart.items ?? []), req.params.item]
  res.json({ items: cart.items })
})

app.post('/theme/:theme', async (req, res) => {
  const preferences = await req.sessions.get('preferences')
  preferences.theme = req.params.theme
  res.json({ theme: preferences.theme })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
