// Before `npm start`: installs what the login application needs, which is little of what working on the package needs,
// and compiles what is stale. Types are not checked, so that nothing has to be installed for them.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { install } from './install.mjs'

install('.', { omitDev: true })
install('examples')

const root = fileURLToPath(new URL('..', import.meta.url))
const compilers = ['node_modules', 'examples/node_modules'].map((folder) => `${root}${folder}/typescript/bin/tsc`)
const compiler = compilers.find((file) => existsSync(file))
const config = `${root}scripts/tsconfig.start.json`
const { status } = spawnSync(process.execPath, [compiler, '-p', config], { cwd: root, stdio: 'inherit' })
process.exitCode = status ?? 1
