// Server-sent events that end with the session: the page learns within a second that it was signed out.
const express = require('express')
const { infoOf, requireSession, sessions } = require('silverback')

const app = express()
const auth = sessions({ secret: process.env.SESSION_SECRET, userId: (session) => session.user })
app.use(auth)

app.post('/login/:user', async (req, res) => {
  await req.session.regenerate()
  req.session.user = req.params.user
  res.json({ user: req.session.user })
})

app.post('/logout-everywhere', async (req, res) => res.json({ ended: await auth.revoke(req.session.user) }))

const signedIn = requireSession((session) => session.user !== undefined)
app.get('/events', signedIn, (req, res) => {
  // Whoever has left while the session was loaded would never be heard to leave.
  if (res.closed) return
  const { signal } = infoOf(req.session)
  res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  res.write(`event: hello\ndata: ${JSON.stringify(req.session.user)}\n\n`)
  const alive = setInterval(() => res.write(': alive\n\n'), 15_000)
  signal.addEventListener('abort', () => res.end('event: signed-out\ndata: ""\n\n'))
  res.on('close', () => clearInterval(alive))
})

module.exports = { app, auth }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
