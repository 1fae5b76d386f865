// Sessions in a file of SQLite, on one machine: Node.js 22.13 and later need no other package, others `better-sqlite3`.
const express = require('express')
const { sessions } = require('silverback')
const { SqliteStore } = require('silverback/sqlite')

const app = express()
const store = new SqliteStore({ path: process.env.SESSION_FILE ?? './sessions.db' })
app.use(sessions({ secret: process.env.SESSION_SECRET, store }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, store }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
