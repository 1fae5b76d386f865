// Runs `npm ci` in each of the folders that are named, unless it has all that its lock file names already.
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const read = (...place) => JSON.parse(readFileSync(path.join(...place), 'utf8'))

/**
 * Installs the packages of a folder of this repository, if one is missing or of another version than the lock says.
 * A `node_modules` that is a link stays as it is: it belongs to another folder.
 */
export function install(name, { omitDev = false } = {}) {
  const folder = path.join(root, name)
  if (lstatSync(path.join(folder, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) return
  // `node_modules/.package-lock.json` is no proof: `npm install --package-lock-only` changes it as well.
  const isMissing = ([place, { version, optional, dev, devOptional, link }]) => {
    if (!place.startsWith('node_modules/') || link || optional || devOptional || (omitDev && dev)) return false
    const manifest = path.join(folder, place, 'package.json')
    return !existsSync(manifest) || read(manifest).version !== version
  }
  if (!Object.entries(read(folder, 'package-lock.json').packages).some(isMissing)) return

  console.log(`Installing the packages of ${name === '.' ? 'silverback' : name}`)
  const flags = ['--no-audit', '--no-fund', '--loglevel=error', ...(omitDev ? ['--omit=dev'] : [])]
  // What npm tells its scripts about the root would mislead the npm of another folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_(?!config_cache)/i.test(key)))
  const shell = process.platform === 'win32'
  const { status } = spawnSync('npm', ['ci', ...flags], { cwd: folder, env, stdio: 'inherit', shell })
  if (status !== 0) process.exit(status ?? 1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const name of process.argv.slice(2)) install(name)
