// The session of a WebSocket: opened at the upgrade, read anew for every message, and the socket closes when it ends.
const { createServer } = require('node:http')
const express = require('express')
const { infoOf, sessions } = require('silverback')
const { WebSocketServer } = require('ws')

const auth = sessions({ secret: process.env.SESSION_SECRET })
const app = express()
app.use(auth)

app.post('/login/:user', async (req, res) => {
  await req.session.regenerate()
  req.session.user = req.params.user
  res.json({ user: req.session.user })
})

app.post('/logout', async (req, res) => {
  await req.session.destroy()
  res.json({ user: null })
})

const server = createServer(app)
const sockets = new WebSocketServer({ noServer: true })

// Browsers send the cookie from pages of our own site only, because it is SameSite=Lax.
server.on('upgrade', async (req, socket, head) => {
  const session = await auth.open(req).catch(() => undefined)
  if (!session?.user) return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
  sockets.handleUpgrade(req, socket, head, (ws) => {
    infoOf(session).signal.addEventListener('abort', () => ws.close(4401, 'signed out'))
    ws.on('message', async (text) => {
      const messages = await session.update((s) => (s.messages = (s.messages ?? 0) + 1)).catch(() => undefined)
      if (messages !== undefined) ws.send(JSON.stringify({ user: session.user, text: String(text), messages }))
    })
  })
})

module.exports = { app, auth, server }
if (require.main === module) server.listen(process.env.PORT ?? 3000)
