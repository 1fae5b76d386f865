// A message that the next page shows once, after a redirect.
const express = require('express')
const { sessions } = require('silverback')

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET }))

app.post('/save', (req, res) => {
  req.session.addFlash('Saved.')
  res.redirect(303, '/')
})

app.get('/', (req, res) => res.json({ messages: req.session.flashes() }))

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
