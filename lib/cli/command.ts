import { parseArgs } from 'node:util'
import type { SessionError } from '../base/errors'

export const EXIT = {
  ok: 0,
  /** Something is wrong, or not there: a finding, no such session, a cookie that is not authentic. */
  found: 1,
  usage: 2,
  /** The store or the application could not be asked. */
  failed: 3
} as const

/** What a command has to say: as text, or with `--json` as JSON. */
export interface Outcome {
  readonly exit?: (typeof EXIT)[keyof typeof EXIT]
  readonly text: string
  readonly json: unknown
}

/** What is around a command. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  version(): string
  out(text: string): void
  err(text: string): void
  read(): Promise<string>
  /** Asks whoever sits there; `undefined` where nobody does. */
  confirm(question: string): Promise<boolean | undefined>
}

export interface Option {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean
  /** What stands for its value in the help text. */
  readonly value?: string
  readonly help: string
}

/** The options as they were given: texts, lists of them where an option may be repeated, and `true`. */
export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>

export interface Call {
  readonly argument: string
  readonly values: Values
  readonly terminal: Terminal
}

export interface Command {
  readonly name: string
  /** What stands for its argument in the help text, if it takes one. */
  readonly argument?: string
  readonly help: string
  readonly options: Readonly<Record<string, Option>>
  run(call: Call): Promise<Outcome>
}

export class CommandError extends Error {
  constructor(
    message: string,
    readonly exit: number = EXIT.usage
  ) {
    super(message)
  }
}

const COMMON: Readonly<Record<string, Option>> = {
  json: { type: 'boolean', help: 'print JSON' },
  help: { type: 'boolean', help: 'print this' }
}

/** Runs the command that the arguments name. Resolves with the exit code; everything else is printed. */
export async function run(commands: readonly Command[], args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args
  const command = commands.find((each) => each.name === name)
  const json = rest.includes('--json')
  try {
    if (name === '--version') {
      terminal.out(`${terminal.version()}\n`)
      return EXIT.ok
    }
    if (name === undefined || name === '--help' || name === 'help') {
      terminal.out(overview(commands))
      return name === undefined ? EXIT.usage : EXIT.ok
    }
    if (command === undefined) {
      throw new CommandError(`There is no command ${JSON.stringify(name)}; silverback --help lists them.`)
    }
    const { values, positionals } = parse(command, rest)
    if (values.help === true) {
      terminal.out(helpOf(command))
      return EXIT.ok
    }
    const wanted = command.argument === undefined ? 0 : 1
    if (positionals.length !== wanted) {
      throw new CommandError(
        `silverback ${command.name} takes ${wanted ? `one argument, ${command.argument}` : 'no argument'}; got ${positionals.length}.`
      )
    }
    // What is secret need not be on the command line, where other users of the machine see it.
    const argument = positionals[0] === '-' ? (await terminal.read()).trim() : (positionals[0] ?? '')
    const outcome = await command.run({ argument, values, terminal })
    terminal.out(json ? jsonText(outcome.json) : plain(outcome.text))
    return outcome.exit ?? EXIT.ok
  } catch (err) {
    const { message, exit } = faultOf(err)
    if (json) terminal.out(jsonText({ error: message }))
    else terminal.err(plain(`${message}\n`))
    return exit
  }
}

// Every 64th session ID begins with a dash. No option has as many letters.
const DASHED = /^-[^=\s]{21,}$/

function parse({ options }: Command, given: string[]): { values: Values; positionals: string[] } {
  const known: Command['options'] = { ...options, ...COMMON }
  const takesValue = (arg = '') => arg.startsWith('--') && known[arg.slice(2)]?.type === 'string'
  const isId = (arg: string, i: number) => DASHED.test(arg) && !takesValue(given[i - 1])
  const dashed = given.includes('--') ? [] : given.filter(isId)
  const args = dashed.length === 0 ? given : [...given.filter((arg, i) => !isId(arg, i)), '--', ...dashed]
  try {
    const parsed = parseArgs({ args, options: known, allowPositionals: true })
    return parsed as { values: Values; positionals: string[] }
  } catch (err) {
    throw new CommandError((err as Error).message)
  }
}

function faultOf(err: unknown): { message: string; exit: number } {
  if (err instanceof CommandError) return err
  const message = err instanceof Error ? err.message || String((err as NodeJS.ErrnoException).code) : String(err)
  // Of whichever copy of this package the application has.
  const usage = (err as Partial<SessionError> | null | undefined)?.kind === 'usage'
  return { message, exit: usage ? EXIT.usage : EXIT.failed }
}

// What an application or a store has sent commands no terminal, and does not turn the order of what is read.
const COMMANDING = /(?!\n)[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu

export function plain(text: string): string {
  return text.replace(COMMANDING, '?')
}

function jsonText(json: unknown): string {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${JSON.stringify(json, null, 2).replace(COMMANDING, escaped)}\n`
}

function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, argument = '', help }) => [`  ${name} ${argument}`, help.split('\n', 1)[0]!])
  return `Usage: silverback COMMAND [options]\n\n${table(rows)}\nsilverback COMMAND --help tells more, silverback --version the version.\n`
}

function helpOf({ name, argument, help, options }: Command): string {
  const rows = Object.entries({ ...options, ...COMMON }).map(([option, { value, help: says }]) => [
    `  --${option}${value ? ` ${value}` : ''}`,
    says
  ])
  return `Usage: silverback ${name}${argument ? ` ${argument}` : ''} [options]\n\n${help}\n\n${table(rows)}`
}

/** Rows as lines, their columns one below the other. */
export function table(rows: readonly (readonly string[])[]): string {
  // No arguments of one call: a user may have more sessions than the stack has room for.
  const widths = rows[0]?.map((_, at) => rows.reduce((most, row) => Math.max(most, row[at]!.length), 0)) ?? []
  const lineOf = (row: readonly string[]) => row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ')
  return rows.map((row) => `${lineOf(row).trimEnd()}\n`).join('')
}

/** A time as everybody reads it. */
export function timeText(time: number | null | undefined): string {
  if (time === null) return 'never'
  return time === undefined ? 'unknown' : `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** The same for JSON: `null`: never; left out where it is not known. */
export function timeJson(time: number | null | undefined): string | null | undefined {
  return typeof time === 'number' ? new Date(time).toISOString() : time
}

export function textOf(values: Values, option: string): string | undefined {
  const value = values[option]
  return typeof value === 'string' ? value : undefined
}

export function listOf(values: Values, option: string): readonly string[] {
  const value = values[option]
  return Array.isArray(value) ? (value as string[]) : []
}
