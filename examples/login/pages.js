'use strict'

const express = require('express')
const { requireSession } = require('silverback')
const { requireCsrfToken } = require('./csrf')
const { adminOnly, guestOnly } = require('./guards')
const { Problem } = require('./problem')
const { createResponder } = require('./respond')
const { rememberPage, returnTo, backTo } = require('./return-to')
const views = require('./views')

/** The application as HTML pages, usable without any script. */
function createPages(accounts) {
  const pages = express.Router()
  const { show, submit } = createResponder(accounts)

  pages.use(express.urlencoded({ extended: false, limit: '10kb' }))
  pages.use(requireCsrfToken((req) => req.body?._csrf))
  pages.get('/', show(views.home))
  pages.post('/theme', submit(accounts.chooseTheme, { to: backTo }))
  addSignIn(pages, accounts, { show, submit })
  addMembers(pages, accounts, { show, submit })
  pages.use(() => {
    throw new Problem(404, 'There is no such page.')
  })
  return pages
}

function addSignIn(pages, accounts, { show, submit }) {
  const guest = guestOnly(accounts)
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

  pages.get('/register', guest, show(views.register))
  pages.post('/register', submit(accounts.register, afterRegister))
  pages.get('/login', guest, show(views.login))
  pages.post('/login', submit(accounts.login, afterLogin))
  pages.post('/logout', submit(accounts.logout, afterLogout))
}

function addMembers(pages, accounts, { show, submit }) {
  const signedIn = requireSession((session) => accounts.userOf(session), { redirectTo: '/login' })
  const member = [rememberPage(accounts), signedIn]
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
  const afterEnd = { to: () => '/sessions' }

  pages.get('/profile', member, show(views.profile, accounts.profile))
  pages.post('/profile', member, submit(accounts.updateProfile, afterProfile))
  pages.get('/password', member, show(views.password))
  pages.post('/password', member, submit(accounts.changePassword, afterPassword))
  pages.get('/sessions', member, show(views.sessions, accounts.listSessions))
  pages.post('/sessions/:handle/end', member, submit(accounts.endSession, afterEnd))
  pages.get('/admin', member, adminOnly(accounts), show(views.admin, accounts.listUsers))
}

module.exports = { createPages }
