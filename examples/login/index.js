'use strict'

const { createApp } = require('./app')
const accounts = require('./accounts')
const { createUsers } = require('./users')
const settings = require('./settings')

module.exports = { createApp }

async function main() {
  const users = createUsers()
  if (settings.admin) await accounts.seed(users, settings.admin)
  const app = createApp({
    users,
    secret: settings.secret,
    store: await settings.openStore(),
    trustProxy: settings.trustProxy
  })
  const server = app.listen(settings.port, (err) => {
    if (err) throw err
    console.log(`Login example: http://localhost:${server.address().port}`)
  })
}

if (require.main === module) main()
