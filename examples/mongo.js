// Sessions in MongoDB, as connect-mongo keeps them: both may use one collection at the same time.
const express = require('express')
const { MongoClient } = require('mongodb')
const { sessions } = require('silverback')
const { MongoStore } = require('silverback/mongo')

// The driver connects at the first command. A logout that a majority has is one that no failover undoes.
const client = new MongoClient(process.env.MONGODB_URL, { writeConcern: { w: 'majority' } })
const store = new MongoStore({ collection: client.db().collection('sessions') })

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET, store }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app, client, store }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
