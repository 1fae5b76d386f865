// Rotating the secret while traffic runs: the array is live. Put the new key first; every cookie moves to it with its
// next visit, and the old key goes when the longest idle time has passed.
const express = require('express')
const { sessions, generateKey } = require('silverback')

const secret = [process.env.SESSION_SECRET ?? generateKey()]
const app = express()
app.use(sessions({ secret }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

const rotate = () => secret.unshift(generateKey())
const retire = () => secret.pop()

module.exports = { app, rotate, retire }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
