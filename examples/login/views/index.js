'use strict'

module.exports = {
  ...require('./account'),
  ...require('./admin'),
  ...require('./home'),
  ...require('./shop'),
  ...require('./sign-in')
}
