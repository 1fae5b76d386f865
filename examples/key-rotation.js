// Rotating the secret while traffic runs: the array is live. Put the new key first; every cookie moves to it with its
// next visit, and an old key goes when it has verified nothing for as long as a session may be idle.
const express = require('express')
const { sessions, generateKey } = require('silverback')

const IDLE = 24 * 60 * 60 * 1000
const secret = [process.env.SESSION_SECRET ?? generateKey()]
const auth = sessions({ secret, idle: IDLE })
const app = express()
app.use(auth)

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

const startedAt = Date.now()

function rotate() {
  secret.unshift(generateKey())
}

function retire() {
  const { lastUsedAt } = auth.stats().keys.at(-1)
  if (secret.length > 1 && Date.now() - (lastUsedAt ?? startedAt) > IDLE) secret.pop()
}

module.exports = { app, auth, secret, rotate, retire }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
