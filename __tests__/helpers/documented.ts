import { channel } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'

const ROOT = path.join(__dirname, '../..')

export interface Block {
  language: string
  code: string
}

/** The fenced blocks of a document, in order. */
export function blocksOf(document: string): Block[] {
  const text = readFileSync(path.join(ROOT, document), 'utf8')
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!
  }))
}

/** The block that has a text in it, with lines of its own that give what it defines. */
export function evaluate(document: string, containing: string, result: string): any {
  const found = blocksOf(document).filter(({ code }) => code.includes(containing))
  if (found.length !== 1) throw new Error(`${document} has ${found.length} blocks with "${containing}"`)
  const modules: Record<string, unknown> = { silverback: require('../../lib/index') }
  return new Function('require', `${found[0]!.code}\nreturn ${result}`)((name: string) => modules[name])
}

type Scope = Record<string, unknown>

const COMMONJS = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true }
const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor

/** What is wrong with the syntax of a block of JavaScript or TypeScript. */
export function syntaxErrors({ code }: Block): string[] {
  const { diagnostics } = ts.transpileModule(code, { reportDiagnostics: true, compilerOptions: COMMONJS })
  return diagnostics!.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

/**
 * Runs a block, and gives what it declares at its top level. It may await, and sees the names of `scope` unless it
 * declares them itself.
 *
 * @param replaced texts that hold on another machine, and what stands in their place here
 */
export async function run(block: Block, scope: Scope, replaced: Record<string, string> = {}): Promise<Scope> {
  let { code } = block
  for (const [text, other] of Object.entries(replaced)) code = code.replaceAll(text, other)
  const { outputText } = ts.transpileModule(code, { compilerOptions: COMMONJS })
  // An import is another name in what comes out, and not one that a later block could mean.
  const declared = namesIn(code).map((name) => `${name}: typeof ${name} === 'undefined' ? undefined : ${name}`)
  const body = `return (async () => { ${outputText}\nreturn { ${declared.join(', ')} } })()`
  const modules = (name: string): unknown => (name.startsWith('silverback') ? ours(name) : require(name))
  return new AsyncFunction('require', 'exports', ...Object.keys(scope), body)(modules, {}, ...Object.values(scope))
}

function ours(name: string): unknown {
  return require(`../../lib/${name === 'silverback' ? 'index' : name.slice('silverback/'.length)}`)
}

function namesIn(code: string): string[] {
  const names: string[] = []
  const add = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) names.push(name.text)
    else for (const element of name.elements) if (ts.isBindingElement(element)) add(element.name)
  }
  for (const statement of ts.createSourceFile('block.ts', code, ts.ScriptTarget.ES2022).statements) {
    if (ts.isVariableStatement(statement)) statement.declarationList.declarations.forEach(({ name }) => add(name))
    else if ((ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement)) && statement.name) {
      names.push(statement.name.text)
    }
  }
  return names
}

/** From now on notes who listens to channels of `node:diagnostics_channel`, which outlive a file of tests; gives what ends it. */
export function noteListeners(): () => void {
  const probe = channel('silverback-tests')
  const nothing = () => undefined
  probe.subscribe(nothing)
  // A channel that somebody listens to has another prototype, which is asked in the end in every case.
  const noted = jest.spyOn(Object.getPrototypeOf(probe) as typeof probe, 'subscribe')
  return () => {
    const listeners = noted.mock.calls.map(
      ([listener], i) => [noted.mock.contexts[i] as typeof probe, listener] as const
    )
    noted.mockRestore()
    for (const [on, listener] of [...listeners, [probe, nothing] as const]) on.unsubscribe(listener)
  }
}
