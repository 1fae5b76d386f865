import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { sessions } from '../../lib/index'
import { SqliteStore } from '../../lib/sqlite'
import { sessionCookie } from '../../lib/testing'
import { secret } from '../helpers/app'
import { build } from '../helpers/child'
import { spawnSilverback } from '../helpers/command-line'
import { blocksOf } from '../helpers/documented'
import { TestFolder } from '../helpers/folder'
import { ACCOUNT, serve, siteWith } from '../helpers/sites'

const DOCUMENT = path.join(__dirname, '../../docs/command-line.md')
const folder = new TestFolder()
let server: Server

beforeAll(async () => {
  const store = new SqliteStore({ path: folder.at('sessions.db') })
  const auth = sessions({ secret, store, userId: (session) => session.userId })
  const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 3600_000)
  const { id } = await auth.create({ userId: 'ann', theme: 'dark' } as object)
  clock.mockRestore()
  await auth.create({ userId: 'ann', theme: 'light' } as object)
  // From before the application had the option userId.
  const cookie = await sessionCookie(sessions({ secret, store }), { userId: 'bob' })
  await store.close()
  writeFileSync(folder.at('id.txt'), id)
  writeFileSync(folder.at('cookie.txt'), cookie)
  writeFileSync(folder.at('secrets.txt'), `a newer secret, of thirty-two bytes or more\n${secret}\n`)
  writeFileSync(
    folder.at('auth.js'),
    blocksOf('docs/command-line.md').find(({ code }) => code.startsWith('// auth.js'))!.code
  )
  mkdirSync(folder.at('node_modules/silverback'), { recursive: true })
  for (const name of ['index', 'sqlite']) {
    const file = JSON.stringify(path.join(build(), 'lib', name))
    writeFileSync(folder.at('node_modules/silverback', `${name}.js`), `module.exports = require(${file})`)
  }
  const wrong = siteWith('express-session', {
    cookie: { sameSite: undefined },
    logout: (req, res) => void req.session.destroy(() => res.redirect('/'))
  })
  server = (await serve(wrong)).server
})

afterAll(() => {
  server.close().closeAllConnections()
  folder.remove()
})

// What is another one each time.
const settled = (text: string) =>
  text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, 'TIME')
    .replace(/^[\w-]{43}$/gm, 'SECRET')
    .replace(/^((?:session +)?)[\w-]{8}(?=  |$)/gm, '$1SESSION')
    .replace(/:\d{4,5}\//g, ':PORT/')
    .replaceAll(folder.path, '/home/ann/app')

// `WRITE_DOCUMENTS=1` writes anew what is printed there.
it('docs/command-line.md prints what the commands print', async () => {
  const text = readFileSync(DOCUMENT, 'utf8')
  // The drivers of databases are there that only tests need.
  const env: Record<string, string> = { SESSION_SECRET: secret, NODE_PATH: path.join(__dirname, '../node_modules') }
  const printed = new Map<string, string>()
  for (const { language, code } of blocksOf('docs/command-line.md')) {
    if (language !== 'console') continue
    let said = ''
    for (const line of code.split('\n').filter((each) => each.startsWith('$ '))) {
      said += `${line}\n`
      const [, name, value] = /^\$ export (\w+)=(.*)$/.exec(line) ?? []
      if (name !== undefined) env[name] = name === 'DOCTOR_PASSWORD' ? ACCOUNT.env.PASSWORD : value!
      else {
        const [command, file] = line.slice('$ npx silverback '.length).split(' < ')
        const args = command!.replace(':3000', `:${(server.address() as AddressInfo).port}`).split(' ')
        const input = file === undefined ? '' : readFileSync(folder.at(file), 'utf8')
        const { out, err } = await spawnSilverback(args, { cwd: folder.path, env, input })
        said += out + err
      }
    }
    printed.set(code, said)
  }
  expect(printed.size).toBeGreaterThan(8)
  if (process.env.WRITE_DOCUMENTS) {
    let written = text
    for (const [code, said] of printed)
      written = written.replace(code, () =>
        said.replace(/:\d{5}\//g, ':3000/').replaceAll(folder.path, '/home/ann/app')
      )
    writeFileSync(DOCUMENT, written)
  } else for (const [code, said] of printed) expect(settled(code)).toBe(settled(said))
})
