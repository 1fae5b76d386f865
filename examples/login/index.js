'use strict'

const { createApp } = require('./app')
const { seedAdmin } = require('./accounts')
const settings = require('./settings')
const { openStorage } = require('./storage')
const { Users } = require('./users')

module.exports = { createApp }

async function main() {
  const { store, documents } = await openStorage(settings.storage)
  const users = new Users(documents)
  if (settings.admin) await seedAdmin(users, settings.admin)
  const token = await users.adminToken()
  const app = createApp({ secret: settings.secret, store, documents, trustProxy: settings.trustProxy })
  const server = app.listen(settings.port, settings.host, (err) => {
    if (err) throw err
    const url = `http://localhost:${server.address().port}`
    console.log(`Login example: ${url}`)
    if (token) console.log(`Whoever registers first here becomes its administrator: ${url}/register?admin=${token}`)
  })
}

if (require.main === module) main()
