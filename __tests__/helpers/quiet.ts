// Imported first: both packages read this when they are loaded.
process.env.NO_DEPRECATION = 'express-session'
