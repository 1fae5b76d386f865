// Any express-session store works: here connect-pg-simple, on the PostgreSQL that the application has anyway.
const express = require('express')
const { Pool } = require('pg')
const session = require('silverback')
const PgStore = require('connect-pg-simple')(session)

const pool = new Pool({ connectionString: process.env.DATABASE_URL })
const store = new PgStore({ pool, createTableIfMissing: true })

const app = express()
app.use(session.sessions({ secret: process.env.SESSION_SECRET, store }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, pool, store }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
