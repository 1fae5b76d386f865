import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const lib = path.resolve(__dirname, '../lib')
const files = (readdirSync(lib, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts'))
const sources = new Map(files.map((file) => [file, readFileSync(path.join(lib, file), 'utf8')]))

/** The files of lib that a file imports, types included. */
function importsOf(file: string): string[] {
  const found = [...sources.get(file)!.matchAll(/\b(?:from|import|require)\s*\(?'(\.[^']*)'/g)].map(([, to]) => to!)
  return found.map((specifier) => `${path.join(path.dirname(file), specifier)}.ts`)
}

// Lower layers know nothing of higher ones. What is not named here is the engine.
const LAYERS: [RegExp, number][] = [
  [/^(errors|hash|time|turns|warnings|json|latest|random|recent-values|cookie|cookie-header|ids)\.ts$/, 0],
  [/^(record|found|keys|kept-cookie|merge|seal|serialize|session|session-data|session-host|contract)\.ts$/, 1],
  [/^(store|foreign|backend|waiting)\.ts$/, 2],
  [/^(stores|gorilla)\//, 3],
  [/^(options|option-checks|secret-checks|sessions-options)\.ts$/, 4],
  [/^(index|redis|testing|gorilla)\.ts$|^deep\//, 7]
]

function layerOf(file: string): number {
  return LAYERS.find(([pattern]) => pattern.test(file))?.[1] ?? 5
}

it('imports in one direction, types included', () => {
  const upward = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} -> ${target}`)
  )
  expect(upward).toEqual([])
})

it('has no import cycles, types included', () => {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (file: string, above: string[]): void => {
    if (above.includes(file)) {
      cycles.push([...above.slice(above.indexOf(file)), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const target of importsOf(file)) visit(target, [...above, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(cycles).toEqual([])
})

it.each(files)('%s is plain ASCII, of one purpose, and finished', (file) => {
  const text = sources.get(file)!
  expect(text.match(/[^\x00-\x7f]/)).toBeNull()
  expect(text.split('\n').length).toBeLessThanOrEqual(261)
  expect(text).not.toMatch(/\b(TODO|FIXME|XXX|HACK)\b/)
})

it('imports nothing but Node and the dependencies of the package', () => {
  const { dependencies } = JSON.parse(readFileSync(path.join(lib, '../package.json'), 'utf8'))
  const external = files.flatMap((file) =>
    [...sources.get(file)!.matchAll(/\b(?:from|import|require)\s*\(?'([^.'][^']*)'/g)].map((match) => match[1]!)
  )
  expect(external.filter((name) => !name.startsWith('node:') && !(name in dependencies))).toEqual([])
})
