// Sessions in the MySQL or MariaDB that the application has anyway: one statement for a read, one more for a change.
const express = require('express')
const mysql = require('mysql2/promise')
const { sessions } = require('silverback')
const { MysqlStore } = require('silverback/mysql')

const pool = mysql.createPool(process.env.DATABASE_URL)
const store = new MysqlStore({ pool, createTable: true })

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, pool, store }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
