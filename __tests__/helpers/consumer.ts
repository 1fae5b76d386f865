import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(__dirname, '../..')
const modules = path.join(root, 'node_modules')
const testModules = path.join(root, '__tests__/node_modules')
const fixtures = path.resolve(__dirname, '../fixtures/consumers')

// What npm tells its scripts about this repository would mislead the npm of another project.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_(OPTIONS|PATH)$/i.test(name))
)

/** Runs a program and gives what it printed; a failure carries all of that. */
export function run(cwd: string, command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' })
  } catch (err) {
    const { stdout, stderr } = err as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: err })
  }
}

/** Runs a development tool of this repository, of its root or of its tests. */
export function tool(cwd: string, script: string, ...args: string[]): string {
  const found = [modules, testModules].map((folder) => path.join(folder, script)).find((file) => existsSync(file))
  return run(cwd, process.execPath, found!, ...args)
}

/**
 * Builds and packs the package as it would be published; gives the path of the tarball.
 *
 * It is built in `folder`: a `dist` in use stays as it is.
 */
export function pack(folder: string): string {
  const source = path.join(folder, 'source')
  tool(root, 'typescript/bin/tsc', '-p', 'tsconfig.json', '--outDir', path.join(source, 'dist'))
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  delete manifest.scripts
  writeFileSync(path.join(source, 'package.json'), JSON.stringify(manifest))
  for (const name of readdirSync(root)) {
    if (!/^(docs|examples|[A-Z]+(\.md)?)$/.test(name)) continue
    const filter = (file: string) => path.basename(file) !== 'node_modules'
    cpSync(path.join(root, name), path.join(source, name), { recursive: true, filter })
  }
  const [packed] = JSON.parse(run(source, 'npm', 'pack', '--json', '--pack-destination', folder))
  return path.join(folder, packed.filename)
}

/** A project that has installed the tarball under a name, from npm's point of view and without a network. */
export class Consumer {
  readonly #name: string
  readonly #folder: string

  constructor(folder: string, tarball: string, name: string) {
    this.#name = name
    this.#folder = folder
    mkdirSync(folder)
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'consumer', version: '1.0.0' }))
    run(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@file:${tarball}`)
    mkdirSync(path.join(folder, 'node_modules/@types'))
    for (const types of ['node', 'express']) {
      symlinkSync(path.join(modules, '@types', types), path.join(folder, 'node_modules/@types', types))
    }
  }

  /** Leaves @types/express-session where the migration forgot it. */
  leaveTypes(): void {
    const target = path.join(this.#folder, 'node_modules/@types/express-session')
    const source = path.join(testModules, 'express-session-types')
    cpSync(source, target, { recursive: true, filter: (file) => !file.startsWith(path.join(source, 'node_modules')) })
  }

  /** Runs a script in which PACKAGE stands for the name. */
  node(file: string, script: string): string {
    writeFileSync(path.join(this.#folder, file), script.replaceAll('PACKAGE', this.#name))
    return run(this.#folder, process.execPath, '--throw-deprecation', file)
  }

  /** Runs a command that the package has brought. */
  command(name: string, ...args: string[]): string {
    return run(this.#folder, path.join(this.#folder, 'node_modules/.bin', name), ...args)
  }

  /**
   * Compiles copies of fixtures, `name.mts` from `name.ts`, and gives what the compiler has to say about them.
   *
   * @param compiler the package that has it: `typescript`, or `typescript7`
   */
  compile(files: string[], flags: string[], compiler = 'typescript'): string[] {
    for (const file of files) {
      const text = readFileSync(path.join(fixtures, file.replace(/\.[cm]?ts$/, '.ts')), 'utf8')
      writeFileSync(path.join(this.#folder, file), text.replaceAll("'silverback", `'${this.#name}`))
    }
    const strict = ['--noEmit', '--strict', '--target', 'es2022', '--pretty', 'false']
    try {
      tool(this.#folder, `${compiler}/bin/tsc`, ...strict, ...flags, ...files)
      return []
    } catch (err) {
      const said = ((err as Error).cause as { stdout: string }).stdout
      return said.split('\n').filter((line) => line !== '')
    }
  }
}
