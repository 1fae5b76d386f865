// Sessions in files: they survive restarts and crashes, and several processes may share the folder.
const express = require('express')
const { sessions, FileStore } = require('silverback')

const app = express()
const store = new FileStore({ path: process.env.SESSION_DIR ?? './.sessions' })
app.use(sessions({ secret: process.env.SESSION_SECRET, store }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, store }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
