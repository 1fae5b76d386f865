import { fork, type ChildProcess, type ForkOptions } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import ts from 'typescript'

const ROOT = path.resolve(__dirname, '../..')
const TRANSLATED = path.join(ROOT, 'node_modules/.cache/children')
const running = new Set<Child>()
let built: string | undefined

afterAll(() => {
  for (const child of running) child.process.kill('SIGKILL')
  if (built !== undefined) rmSync(built, { recursive: true, force: true })
})

/** The folder of plain JavaScript, made once a test file: a child then starts as quickly as Node itself. */
export function build(): string {
  if (built !== undefined) return built
  const folder = (built = mkdtempSync(path.join(tmpdir(), 'silverback-child-')))
  chmodSync(folder, 0o755)
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'))
  mkdirSync(path.join(folder, '__tests__'))
  symlinkSync(path.join(ROOT, '__tests__/node_modules'), path.join(folder, '__tests__/node_modules'))
  for (const part of ['lib', '__tests__/helpers']) {
    for (const file of readdirSync(path.join(ROOT, part), { recursive: true }) as string[]) {
      if (file.endsWith('.ts')) translate(path.join(part, file), folder)
    }
  }
  return folder
}

// Some 250 files, the same for most of the test files: each version of one is translated once.
function translate(file: string, folder: string): void {
  const source = readFileSync(path.join(ROOT, file), 'utf8')
  const kept = path.join(TRANSLATED, createHash('sha256').update(`16\n${source}`).digest('hex'))
  if (!existsSync(kept)) {
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.Node16, esModuleInterop: true }
    })
    mkdirSync(TRANSLATED, { recursive: true })
    writeFileSync(`${kept}.${process.pid}`, outputText)
    renameSync(`${kept}.${process.pid}`, kept)
  }
  const target = path.join(folder, file.replace(/\.ts$/, '.js'))
  mkdirSync(path.dirname(target), { recursive: true })
  copyFileSync(kept, target)
}

/** A real process that runs the exports of one helper script, which may import from `lib`. */
export class Child {
  readonly #waiting = new Map<number, { resolve(value: any): void; reject(err: unknown): void }>()
  #calls = 0

  private constructor(readonly process: ChildProcess) {
    running.add(this)
    process.on('message', (message: any) => this.#receive(message))
    process.on('exit', () => {
      running.delete(this)
      for (const { reject } of this.#waiting.values()) reject(new Error('The child process ended'))
    })
  }

  /** @param script name of a file in `__tests__/helpers`, without extension; `uid`: run it as that user */
  static async start(script: string, options: { uid?: number; env?: object; silent?: boolean } = {}): Promise<Child> {
    const folder = path.join(build(), '__tests__/helpers')
    const child = new Child(
      fork(path.join(folder, 'child-runner.js'), [path.join(folder, script)], {
        execArgv: [],
        ...options
      } as ForkOptions)
    )
    await once(child.process, 'message')
    return child
  }

  /** Calls an exported function; arguments and answer travel as JSON. Rejects when the child ends first. */
  call<T = any>(name: string, ...args: unknown[]): Promise<T> {
    const call = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
      this.process.send({ call, name, args })
    })
  }

  /** Ends the child at once, as `kill -9` does, or otherwise, and waits until it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const ended = once(this.process, 'exit')
    this.process.kill(signal)
    await ended
  }

  #receive(message: any): void {
    const waiting = this.#waiting.get(message?.call)
    if (waiting === undefined) return
    this.#waiting.delete(message.call)
    if (message.error) waiting.reject(Object.assign(new Error(message.error.message), message.error))
    else waiting.resolve(message.value)
  }
}
