import { readFileSync } from 'node:fs'
import path from 'node:path'

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
