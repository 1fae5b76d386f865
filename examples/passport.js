// Passport over silverback: nothing to adapt. Passport itself asks for a new session ID at login and at logout.
// npm i passport passport-local
const express = require('express')
const passport = require('passport')
const { Strategy } = require('passport-local')
const { sessions } = require('silverback')

passport.use(new Strategy((name, password, done) => done(null, password === 'secret' && { name })))
passport.serializeUser((user, done) => done(null, user.name))
passport.deserializeUser((name, done) => done(null, { name }))

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(sessions({ secret: process.env.SESSION_SECRET }))
app.use(passport.session())

app.post('/login', passport.authenticate('local', { successRedirect: '/', failureRedirect: '/?failed' }))
app.post('/logout', (req, res, next) => req.logout((err) => (err ? next(err) : res.redirect('/'))))
app.get('/', (req, res) => res.json({ user: req.user?.name ?? null }))

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
