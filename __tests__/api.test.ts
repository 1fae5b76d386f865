import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

const ROOT = path.join(__dirname, '..')
const { exports: entries } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))

it('docs/api says what the docstrings say; `npm run docs` writes it anew', () => {
  execFileSync(process.execPath, ['scripts/api.mjs', '--check'], { cwd: ROOT, stdio: 'pipe' })
})

it('docs/api has a page for every entry point', () => {
  const index = readFileSync(path.join(ROOT, 'docs/api/README.md'), 'utf8')
  const names = Object.keys(entries).filter((name) => !/^\.\/(index|session\/|package\.json)/.test(name))
  expect(names.length).toBeGreaterThan(8)
  for (const name of names) {
    const page = `${name === '.' ? 'silverback' : name.slice('./'.length)}.md`
    expect([page, existsSync(path.join(ROOT, 'docs/api', page)), index.includes(`](${page})`)]).toEqual([
      page,
      true,
      true
    ])
  }
})
