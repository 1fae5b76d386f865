'use strict'

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['**/__tests__/**/*.test.ts'],
  moduleNameMapper: {
    // Examples import the package by its name; here they get the sources.
    '^silverback$': '<rootDir>/lib/index.ts',
    '^silverback/(redis|memcached|mongo|testing|gorilla)$': '<rootDir>/lib/$1.ts'
  },
  // Types are checked by `npm run typecheck`, once and for everything.
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.jest.json', diagnostics: false }] },
  testTimeout: 30_000,
  // The suite starts real servers, and the smallest supported machine has two cores.
  maxWorkers: 2
}
