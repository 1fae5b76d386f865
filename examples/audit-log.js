// An audit log, a line of JSON for each: who was signed out where, by whom and why. It holds no session ID.
const { subscribe } = require('node:diagnostics_channel')
const express = require('express')
const { requireSession, sessions } = require('silverback')

const app = express()
const auth = sessions({ secret: process.env.SESSION_SECRET, userId: (session) => session.user })
app.use(auth)

const audit = (what, details) => console.log(JSON.stringify({ at: new Date().toISOString(), what, ...details }))

// What nobody asked for is known by a pseudonym of the session.
subscribe('silverback:expired', ({ session }) => audit('signed out', { session, why: 'its time was over' }))
subscribe('silverback:destroyed', ({ session, reason }) => {
  if (reason === 'maxPerUser') audit('signed out', { session, why: 'too many devices' })
})

// Stands for a login that asks for a password: the user "root" is the administrator.
app.post('/login/:user', async (req, res) => {
  await req.session.regenerate()
  req.session.user = req.params.user
  req.session.device = req.get('User-Agent') ?? 'unknown'
  res.json({ user: req.session.user })
})

const signedIn = requireSession((session) => session.user !== undefined)
app.post('/logout', signedIn, async (req, res) => {
  const { user, device } = req.session
  await req.session.destroy()
  audit('signed out', { user, device, by: user, why: 'logout' })
  res.json({ user: null })
})

const admin = requireSession((session) => session.user === 'root')
app.post('/admin/sign-out/:user', admin, express.json(), async (req, res) => {
  const { user } = req.params
  const devices = await auth.list(user)
  const ended = await auth.revoke(user)
  const by = { by: req.session.user, why: String(req.body?.why ?? 'not given') }
  for (const { data } of devices) audit('signed out', { user, device: data.device, ...by })
  res.json({ ended })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
