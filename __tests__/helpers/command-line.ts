import { spawn } from 'node:child_process'
import path from 'node:path'
import { sessions } from '../../lib/index'
import { run } from '../../lib/cli/command'
import { decode, secret } from '../../lib/cli/decode'
import { doctor } from '../../lib/cli/doctor'
import { SESSION_COMMANDS } from '../../lib/cli/sessions'

import { secret as sessionSecret } from './app'
import { build } from './child'

interface Around {
  env?: Record<string, string>
  /** Standard input. */
  input?: string
  /** What whoever sits there answers; nobody does by default. */
  answer?: boolean
}

/** Runs a command in this process: its exit code, what it printed, and that as JSON if it is. */
export async function silverback(args: string[], { env = {}, input = '', answer }: Around = {}) {
  let out = ''
  let err = ''
  const questions: string[] = []
  const exit = await run([secret, decode, doctor, ...SESSION_COMMANDS], args, {
    env,
    version: () => '1.2.3',
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    read: async () => input,
    confirm: async (question) => {
      questions.push(question)
      return answer
    }
  })
  return { exit, out, err, questions, json: args.includes('--json') ? JSON.parse(out) : undefined }
}

interface Outside {
  cwd: string
  env?: Record<string, string>
  input?: string
  bin?: string
}

/** Runs the command itself, in a process of its own that knows nothing of this one's environment. */
export function spawnSilverback(args: string[], { cwd, env = {}, input = '', bin }: Outside) {
  const script = bin ?? path.join(build(), 'lib/bin.js')
  const child = spawn(process.execPath, [script, ...args], { cwd, env: { PATH: process.env.PATH, ...env } })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => (err += String(chunk)))
  child.stdin.end(input)
  return new Promise<{ exit: number | null; out: string; err: string }>((resolve) =>
    child.on('close', (exit) => resolve({ exit, out, err }))
  )
}

/** A store, and the URL that names it. */
export interface Ground {
  url: string
  store: any
  close?: () => unknown
}

/** The commands that work on the sessions of a store. */
export function describeCommands(open: () => Ground | Promise<Ground>): void {
  let url: string
  let auth: ReturnType<typeof sessions>
  let ground: Ground
  const stored: string[] = []

  beforeAll(async () => {
    ground = await open()
    url = ground.url
    auth = sessions({ secret: sessionSecret, store: ground.store, userId: (session) => session.userId })
    for (const userId of ['ann', 'ann', 'bob']) {
      stored.push((await auth.create({ userId, note: 'private' } as object)).id)
    }
  })

  afterAll(() => ground?.close?.())

  it('lists what a user has, without IDs and data', async () => {
    const { exit, out, err } = await silverback(['list', 'ann', '--store', url])
    expect([exit, err]).toEqual([0, ''])
    expect(out).toMatch(/^SESSION +CREATED +LAST USED +ENDS\n([\w-]{8}  [^\n]*UTC[^\n]*\n){2}$/)
    for (const text of [...stored, 'private']) expect(out).not.toContain(text)
  })

  it('lists them with IDs and data when it is told to', async () => {
    const { json } = await silverback(['list', 'ann', '--store', url, '--show-ids', '--show-data', '--json'])
    expect(json.sessions.map(({ id }: any) => id).sort()).toEqual(stored.slice(0, 2).sort())
    expect(json.sessions[0]).toMatchObject({ bytes: 33, data: { userId: 'ann', note: 'private' } })
    expect(json.store).not.toMatch(/pass-word/)
  })

  it('shows one session, and fails for one that is not there', async () => {
    const shown = await silverback(['show', '-', '--store', url], { input: `${stored[2]}\n` })
    expect(shown).toMatchObject({ exit: 0, out: expect.stringMatching(/size +33 bytes of data/) })
    expect(shown.out).not.toContain(stored[2])
    const data = await silverback(['show', '--store', url, '--show-data', '--json', '--', stored[2]!])
    expect(data.json.data).toEqual({ userId: 'bob', note: 'private' })
    // Where the store knows when it lets go of a session, in a day here, that is told.
    if (!url.startsWith('redis')) expect(Date.parse(data.json.endsAt)).toBeGreaterThan(Date.now())
    expect(await silverback(['show', 'nobody', '--store', url])).toMatchObject({
      exit: 1,
      out: 'There is no such session.\n'
    })
  })

  it('counts', async () => {
    const { json } = await silverback(['stats', '--json'], { env: { SILVERBACK_STORE: url } })
    expect(json).toMatchObject({ sessions: 3 })
  })

  it('removes what is over', async () => {
    const { exit, out } = await silverback(['purge', '--store', url])
    expect(exit).toBe(0)
    expect(out).toMatch(/^(Removed what was over|This store has no sweep).* 3 sessions left\.\n$/)
  })

  it('revokes after it has asked', async () => {
    const nobody = await silverback(['revoke', 'ann', '--store', url])
    expect(nobody).toMatchObject({ exit: 2, err: expect.stringMatching(/End 2 sessions of this user .*say --yes/) })
    const no = await silverback(['revoke', 'ann', '--store', url], { answer: false })
    expect(no).toMatchObject({ exit: 2, err: 'Nothing was done.\n' })
    expect(await auth.list('ann')).toHaveLength(2)
    const yes = await silverback(['revoke', 'ann', '--store', url], { answer: true })
    expect(yes).toMatchObject({ exit: 0, out: 'Ended 2 sessions.\n' })
    expect(await auth.get(stored[0]!)).toBeNull()
    expect(await auth.get(stored[2]!)).not.toBeNull()
  })

  it('clears after it has asked', async () => {
    expect(await silverback(['clear', '--store', url])).toMatchObject({ exit: 2, out: '' })
    expect(await silverback(['clear', '--store', url, '--yes', '--json'])).toMatchObject({
      exit: 0,
      json: { cleared: 1 }
    })
    expect(await auth.get(stored[2]!)).toBeNull()
  })
}
