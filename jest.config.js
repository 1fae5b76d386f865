'use strict'

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['**/__tests__/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.test.json', diagnostics: false, isolatedModules: true }] },
  testTimeout: 30_000,
  // Two workers: the suite starts real servers, and the smallest supported machine has two cores.
  maxWorkers: 2
}
