#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { EXIT, plain, run, type Terminal } from './cli/command'
import { decode, secret } from './cli/decode'
import { doctor } from './cli/doctor'
import { SESSION_COMMANDS } from './cli/sessions'

const { stdin, stdout, stderr } = process

const terminal: Terminal = {
  env: process.env,
  version() {
    const manifest = readFileSync(path.join(__dirname, '../package.json'), 'utf8')
    return (JSON.parse(manifest) as { version: string }).version
  },
  out: (said) => void stdout.write(said),
  err: (said) => void stderr.write(said),
  read: () => text(stdin),
  async confirm(question) {
    if (!stdin.isTTY || !stderr.isTTY) return undefined
    const dialogue = createInterface({ input: stdin, output: stderr })
    const answer = await new Promise<string>((resolve) => {
      dialogue.once('close', () => resolve(''))
      dialogue.question(`${question} [y/N] `, resolve)
    })
    dialogue.close()
    return /^y(es)?$/i.test(answer.trim())
  }
}

// Whoever reads this may have read enough: what came of the command counts all the same.
stdout.on('error', () => undefined)
// A full disk has not.
process.on('exit', () => {
  const { code } = (stdout.errored ?? {}) as NodeJS.ErrnoException
  if (code !== undefined && code !== 'EPIPE') process.exitCode = EXIT.failed
})

// Until the command has said otherwise: a process that has nothing left to wait for ends, and was not done.
process.exitCode = EXIT.failed
// A module or a client that throws on its own is no finding, for which 1 stands.
process.on('uncaughtException', ({ message }) => {
  stderr.write(`${plain(message)}\n`, () => process.exit(EXIT.failed))
})

// A module of the application may keep the process alive: it ends when everything is said.
void run([secret, decode, doctor, ...SESSION_COMMANDS], process.argv.slice(2), terminal).then((exit) => {
  process.exitCode = exit
  stdout.write('', () => process.exit())
})
