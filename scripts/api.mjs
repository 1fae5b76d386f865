// Writes docs/api, a page for each entry point, from the docstrings; `--check` only says whether it is current.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Application, Comment, ReflectionKind } from 'typedoc'

const root = path.join(import.meta.dirname, '..')
const target = path.join(root, 'docs/api')
const lib = path.join(root, 'lib')
const ORDER = ['Function', 'Class', 'Variable', 'Namespace', 'Interface', 'TypeAlias'].map(
  (kind) => ReflectionKind[kind]
)

const pages = await generate()
if (process.argv.includes('--check')) check()
else replace()

async function generate() {
  mkdirSync(path.join(root, 'node_modules/.cache'), { recursive: true })
  const folder = mkdtempSync(path.join(root, 'node_modules/.cache/api-'))
  try {
    // express-session's inner paths have no docstrings of their own.
    const { exports: entries } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
    const inner = /^\.\/(index|session\/|package\.json)/
    const names = Object.keys(entries)
      .filter((name) => !inner.test(name))
      .map((name) => (name === '.' ? 'index.ts' : `${path.basename(name)}.ts`))
    const main = path.join(folder, 'index.ts')
    writeFileSync(main, mainEntry())
    const files = names.map((name) => (name === 'index.ts' ? main : path.join(lib, name)))
    const tsconfig = path.join(folder, 'tsconfig.json')
    writeFileSync(
      tsconfig,
      JSON.stringify({ extends: path.join(root, 'tsconfig.json'), compilerOptions: { rootDir: root }, files })
    )
    const hidden = { excludePrivate: true, excludeProtected: true, excludeInternal: true, excludeExternals: true }
    const quiet = { skipErrorChecking: true, logLevel: 'Error', disableGit: true, disableSources: true }
    const app = await Application.bootstrap({ entryPoints: files, tsconfig, ...hidden, ...quiet })
    const project = await app.convert()
    const modules = project.children.sort((a, b) => (entryOf(a) < entryOf(b) ? -1 : 1))
    return new Map([...modules.map((module) => page(module)), ['README.md', index(modules)]])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

// The main entry as an ES module: an `export =` of a function with a namespace would make two halves.
function mainEntry() {
  const text = readFileSync(path.join(lib, 'index.ts'), 'utf8')
  const files = new Map([...text.matchAll(/^import \* as (\w+) from '(.*)'/gm)].map(([, name, file]) => [name, file]))
  const aliases = text.matchAll(/^ {2}export (?:import|type) (\w+)(?:<.*>)? = (\w+Module)\.(\w+)(?:<.*>)?$/gm)
  return [
    `import session from '${lib}/index'`,
    ...[...aliases].map(
      ([, name, module, own]) => `export { ${own} as ${name} } from '${path.join(lib, files.get(module))}'`
    ),
    ...['sessions', 'SessionOptions', 'RequestSession', 'RequestVerbs'].map(
      (name) => `export import ${name} = session.${name}`
    ),
    'export default session'
  ].join('\n')
}

function entryOf(module) {
  const name = path.basename(module.name)
  return name.startsWith('api-') || name === 'index' ? 'silverback' : `silverback/${name}`
}

function index(modules) {
  const lines = modules.map(
    (module) =>
      `| [\`${entryOf(module)}\`](${fileOf(module)}) | ${exportsOf(module)
        .map((each) => `[\`${nameOf(each)}\`](${fileOf(module)}#${anchor(each)})`)
        .join(', ')} |`
  )
  return [
    '# API reference\n',
    'Made from the docstrings of the package by `npm run docs`. To learn by task, begin with the [table of contents](../README.md).\n',
    '| import | what is in it |',
    '| --- | --- |',
    ...lines,
    '',
    "express-session's inner paths (`silverback/session/store`, `memory`, `session` and `cookie`) give what they give there.\n"
  ].join('\n')
}

function fileOf(module) {
  return `${entryOf(module).replace('silverback/', '')}.md`
}

function page(module) {
  const parts = exportsOf(module).map((each) => section(each))
  return [fileOf(module), [`# ${entryOf(module)}`, ...parts].join('\n\n') + '\n']
}

function exportsOf(module) {
  // The namespace of the main function holds what is exported by itself as well; of a value and its type one is enough.
  const types = module.children.filter(
    ({ kind }) => kind === ReflectionKind.Interface || kind === ReflectionKind.TypeAlias
  )
  const seen = module.children.filter(
    ({ kind, name }) =>
      !(name === 'default' && kind === ReflectionKind.Namespace) &&
      !(kind === ReflectionKind.Variable && types.some((type) => type.name === name))
  )
  return seen.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || (nameOf(a) < nameOf(b) ? -1 : 1))
}

function nameOf({ name }) {
  return name === 'default' ? 'session' : name
}

function headingOf(each) {
  const kind = ReflectionKind.singularString(each.kind).toLowerCase()
  return each.kind === ReflectionKind.Function
    ? `${nameOf(each)}()`
    : kind === 'type alias'
      ? `type ${nameOf(each)}`
      : `${kind} ${nameOf(each)}`
}

// As GitHub makes them of headings.
function anchor(each) {
  return headingOf(each)
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

function section(each, level = '##') {
  const parts = [`${level} ${headingOf(each)}`]
  const members = membersOf(each)
  if (each.kind === ReflectionKind.Function) {
    parts.push(code(each.signatures.map((signature) => signatureText(signature, nameOf(each))).join('\n')))
    parts.push(prose(each.signatures[0].comment))
  } else if (each.kind === ReflectionKind.Reference) {
    parts.push(`That of [\`silverback\`](silverback.md#${anchor(each.getTargetReflectionDeep())}).`)
  } else {
    parts.push(prose(each.comment))
    if (each.kind === ReflectionKind.Class) parts.push(code(constructorText(each)))
    if (each.kind === ReflectionKind.TypeAlias)
      parts.push(code(`type ${each.name}${typeParameters(each)} = ${each.type}`))
    if (each.kind === ReflectionKind.Variable && members.length === 0)
      parts.push(code(`const ${each.name}: ${each.type}`))
    if (each.kind === ReflectionKind.Namespace)
      parts.push(...exportsOf(each).map((inner) => section(inner, `${level}#`)))
    else if (members.length > 0) parts.push(table(members))
  }
  return parts.filter(Boolean).join('\n\n')
}

function code(text) {
  return `\`\`\`ts\n${text}\n\`\`\``
}

/** A docstring, its tags behind it. */
function prose(comment) {
  if (comment === undefined) return ''
  const parts = [Comment.combineDisplayParts(comment.summary)]
  for (const tag of comment.blockTags) {
    const text = Comment.combineDisplayParts(tag.content).replace(/^```ts\n([^]*?)\n```$/, (_all, inner) =>
      tag.tag === '@example' ? _all : inner
    )
    const type = tag.typeAnnotation ? `\`${tag.typeAnnotation.replace(/^\{|\}$/g, '')}\` ` : ''
    if (tag.tag === '@example') parts.push(text.includes('```') ? text : code(text))
    else if (tag.tag === '@param') parts.push(`\`${tag.name}\`: ${text}`)
    else parts.push(`${tag.tag[1].toUpperCase()}${tag.tag.slice(2)}: ${type}${text}`)
  }
  return parts.filter(Boolean).join('\n\n')
}

function membersOf(each) {
  const own = (each.children ?? each.type?.declaration?.children ?? []).filter((member) => {
    const signature = member.signatures?.[0] ?? member.getSignature ?? member
    const repeats = [member, signature].some((it) => it.inheritedFrom ?? it.overwrites ?? it.implementationOf)
    // The contract's verbs are the same on every store; what is named by a symbol is for the middleware.
    return (
      !member.kindOf(ReflectionKind.Constructor) &&
      !member.name.startsWith('[') &&
      !(repeats && each.kind === ReflectionKind.Class)
    )
  })
  return own.sort((a, b) => Number(a.kind === ReflectionKind.Method) - Number(b.kind === ReflectionKind.Method))
}

function table(members) {
  const rows = members.map((member) => {
    const signature = member.signatures?.[0] ?? member.getSignature
    const comment = member.comment ?? signature?.comment
    const optional = member.flags.isOptional ? '?' : ''
    const type = member.signatures
      ? member.signatures.map((one) => signatureText(one, member.name)).join('\n')
      : `${member.name}${optional}: ${typeText(member.type ?? signature?.type)}`
    return `| ${type.split('\n').map(cell).join('<br>')} | ${escape(prose(comment).replace(/\s*\n\s*/g, ' '))} |`
  })
  return ['| member | what it is |', '| --- | --- |', ...rows].join('\n')
}

function typeText(type) {
  const text = String(type)
  return text.replace(/ \| undefined$/, '')
}

function cell(text) {
  return `\`${escape(text)}\``
}

function escape(text) {
  return text.replaceAll('|', '\\|')
}

function typeParameters({ typeParameters: parameters }) {
  return parameters
    ? `<${parameters.map(({ name, type }) => (type ? `${name} extends ${type}` : name)).join(', ')}>`
    : ''
}

function signatureText(signature, name) {
  const parameters = (signature.parameters ?? []).map(
    (each) =>
      `${each.flags.isRest ? '...' : ''}${each.name === '__namedParameters' ? 'options' : each.name}${each.flags.isOptional || each.defaultValue ? '?' : ''}: ${typeText(each.type)}`
  )
  return `${name}${typeParameters(signature)}(${parameters.join(', ')}): ${signature.type}`
}

function constructorText(each) {
  const signature = each.children?.find(({ name }) => name === 'constructor')?.signatures?.[0]
  const base = each.extendedTypes ? ` // extends ${each.extendedTypes.join(', ')}` : ''
  return signature
    ? `new ${signatureText(signature, each.name).replace(/: [^:]*$/, '')}${base}`
    : `class ${each.name}${base.replace(' //', '')}`
}

function contents() {
  const names = readdirSync(target).filter((name) => name.endsWith('.md'))
  return new Map(names.map((name) => [name, readFileSync(path.join(target, name), 'utf8')]))
}

function check() {
  const is = contents()
  const stale = [...new Set([...is.keys(), ...pages.keys()])].filter((name) => is.get(name) !== pages.get(name))
  if (stale.length === 0) return
  console.error(`docs/api is not what the docstrings say (${stale.join(', ')}): run \`npm run docs\`, and commit it.`)
  process.exitCode = 1
}

function replace() {
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target)
  for (const [name, text] of pages) writeFileSync(path.join(target, name), text)
}
