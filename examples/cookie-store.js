// Sessions that live in their cookie alone, sealed; logout is final because it is noted on the server.
const express = require('express')
const { sessions, CookieStore, MemoryStore } = require('silverback')

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store: new CookieStore({ revocations: new MemoryStore() }) }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

app.post('/logout', async (req, res) => {
  await req.session.destroy()
  res.json({ views: 0 })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
