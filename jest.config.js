'use strict'

// The same for the processes that tests start.
process.env.NODE_PATH = require('node:path').join(__dirname, '__tests__/node_modules')

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // Optional peers of the package (better-sqlite3, ...) are among the packages of the tests.
  modulePaths: ['<rootDir>/__tests__/node_modules'],
  testMatch: ['**/__tests__/**/*.test.ts'],
  moduleNameMapper: {
    // Examples import the package by its name; here they get the sources.
    '^silverback$': '<rootDir>/lib/index.ts',
    '^silverback/(\\w+)$': '<rootDir>/lib/$1.ts'
  },
  // Types are checked by `npm run typecheck`, once and for everything.
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.jest.json', diagnostics: false }] },
  // Only what hangs takes so long, on a loaded machine as well.
  testTimeout: 240_000,
  // The suite starts real servers, and the smallest supported machine has two cores.
  maxWorkers: 2
}
