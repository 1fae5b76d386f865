// The session of a Socket.IO connection: opened at the handshake, and the connection ends with it.
const { createServer } = require('node:http')
const express = require('express')
const { infoOf, sessions } = require('silverback')
const { Server } = require('socket.io')

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
const io = new Server(server)

io.use(async (socket, next) => {
  // A connection may outlive the request that it began with (polling, then WebSocket): it says itself when it is over.
  const over = new AbortController()
  const session = await auth.open(socket.request, { until: over.signal }).catch(() => undefined)
  if (!session?.user) return next(new Error('not signed in'))
  socket.data.session = session
  socket.on('disconnect', () => over.abort())
  infoOf(session).signal.addEventListener('abort', () => socket.disconnect(true))
  next()
})

io.on('connection', (socket) => {
  const { session } = socket.data
  socket.on('say', async (text, answer) => {
    const messages = await session.update((s) => (s.messages = (s.messages ?? 0) + 1)).catch(() => undefined)
    if (messages !== undefined) answer({ user: session.user, text, messages })
  })
})

module.exports = { app, auth, io, server }
if (require.main === module) server.listen(process.env.PORT ?? 3000)
