import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import ts from 'typescript'

const DIST = path.resolve(__dirname, '../../dist')
const { dependencies } = require('../../package.json') as { dependencies: object }

/** What a file requires of other packages, and whether that may fail: a bundler stops where a package is missing. */
function required(file: string): [name: string, mayFail: boolean][] {
  const found: [string, boolean][] = []
  const visit = (node: ts.Node, mayFail: boolean): void => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'require') {
      const name = node.arguments[0]!
      if (ts.isStringLiteral(name)) found.push([name.text, mayFail])
    }
    ts.forEachChild(node, (child) => visit(child, mayFail || ts.isTryStatement(node)))
  }
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true), false)
  return found.filter(([name]) => !name.startsWith('.') && !/^node:/.test(name) && !builtinModules.includes(name))
}

it('asks for packages that may be missing where bundlers let them be', () => {
  const files = (readdirSync(DIST, { recursive: true }) as string[]).filter((file) => file.endsWith('.js'))
  const others = files.flatMap((file) => required(path.join(DIST, file)))
  expect(others).toContainEqual(['cookie-signature', false])
  expect(others.filter(([name, mayFail]) => !mayFail && !(name in dependencies))).toEqual([])
})
