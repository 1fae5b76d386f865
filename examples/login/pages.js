'use strict'

const express = require('express')
const cart = require('./cart')
const { protectForms } = require('./csrf')
const { adminOnly, confirmedOnly, guestOnly, memberOnly } = require('./guards')
const { openStream, sendEvent, watchSession } = require('./live')
const { Problem } = require('./problem')
const { show, submit } = require('./respond')
const { rememberPage, returnTo, backTo } = require('./return-to')
const views = require('./views')
const { count } = require('./words')

const member = [rememberPage, memberOnly]

/** The application as HTML pages, usable without any script. */
function createPages(services) {
  const { accounts, endings } = services
  const pages = express.Router()
  pages.use(express.urlencoded({ extended: false, limit: '10kb' }))
  pages.use(protectForms)
  pages.get('/', show(views.home))
  pages.post('/theme', submit(accounts.chooseTheme, { to: backTo }))
  pages.get('/shop', show(views.shop, cart.showCart))
  pages.post('/shop/add', submit(cart.addToCart, { to: () => '/shop' }))
  pages.post('/shop/remove', submit(cart.takeFromCart, { to: () => '/shop' }))
  pages.get('/live', watchSession(endings))
  addSignIn(pages, services)
  addAccount(pages, services)
  addAdmin(pages, services)
  pages.use(() => {
    throw new Problem(404, 'There is no such page.')
  })
  return pages
}

function addSignIn(pages, { accounts, endings, limits }) {
  const afterRegister = {
    to: returnTo,
    flash: (user) => `Welcome, ${user.displayName}. Your account is ready.`,
    again: views.register
  }
  const afterLogin = {
    to: returnTo,
    flash: (user) => `Welcome back, ${user.displayName}.`,
    again: views.login
  }
  // No flash: it would begin a new session for somebody who has just ended one.
  const afterLogout = { to: () => '/?signed-out' }

  pages.get('/register', guestOnly, show(views.register))
  pages.post('/register', limits.register, submit(accounts.register, afterRegister))
  pages.get('/login', guestOnly, show(views.login, endings.reasonOnce))
  pages.post('/login', limits.password, submit(accounts.login, afterLogin))
  pages.post('/logout', submit(accounts.logout, afterLogout))
}

function addAccount(pages, { accounts, limits }) {
  const confirmed = [member, confirmedOnly(accounts)]
  const afterProfile = {
    to: () => '/profile',
    flash: () => 'Your profile is saved.',
    again: views.profile,
    load: accounts.profile
  }
  const afterPassword = {
    to: () => '/profile',
    flash: ({ ended }) => `Your password is changed. Other sessions signed out: ${ended}.`,
    again: views.password
  }
  const afterEnd = { to: (req) => (req.session.userId ? '/sessions' : '/?signed-out') }
  const afterOthers = { to: () => '/sessions', flash: ({ ended }) => `${count(ended, 'other device')} signed out.` }

  pages.get('/profile', member, show(views.profile, accounts.profile))
  pages.post('/profile', member, submit(accounts.updateProfile, afterProfile))
  pages.get('/.well-known/change-password', (req, res) => res.redirect('/password'))
  pages.get('/password', member, show(views.password))
  pages.post('/password', member, limits.password, submit(accounts.changePassword, afterPassword))
  pages.get('/sessions', member, show(views.sessions, accounts.listSessions))
  pages.post('/sessions/end-others', member, submit(accounts.endOtherSessions, afterOthers))
  pages.post('/sessions/:handle/end', member, submit(accounts.endSession, afterEnd))
  pages.get('/confirm', member, show(views.confirm))
  pages.post('/confirm', member, limits.password, submit(accounts.confirm, { to: returnTo, again: views.confirm }))
  pages.get('/data', confirmed, show(views.data, accounts.exportData))
  pages.get('/data.json', confirmed, async (req, res) => {
    res.attachment('my-data.json').json(await accounts.exportData(req))
  })
}

function addAdmin(pages, { accounts, activity }) {
  const admin = [member, adminOnly]
  const afterSignOut = {
    to: () => '/admin',
    flash: ({ username, ended }) => `${username} is signed out of ${count(ended, 'device')}.`
  }

  pages.get(
    '/admin',
    admin,
    show(views.admin, async (req) => ({ users: await accounts.listUsers(req), activity: activity.read() }))
  )
  pages.get('/admin/live', admin, (req, res) => {
    openStream(req, res)
    const stop = activity.listen(() => sendEvent(res, 'activity', views.activity(activity.read())))
    res.on('close', stop)
  })
  pages.post('/admin/users/:username/sign-out', admin, submit(accounts.signOutUser, afterSignOut))
}

module.exports = { createPages }
