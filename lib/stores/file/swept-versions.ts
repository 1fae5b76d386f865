import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import { MINUTE, type Milliseconds } from '../../base/time'
import { ifThere } from './errors'
import { HASH, type Folder } from './folder'
import { encodeFile, tagOf, type Draft } from './format'
import { Versions } from './versions'

/** No process is that slow; and if it is, it begins again. */
const TEMPORARY_MAX: Milliseconds = 10 * MINUTE

/** The files of one kind of a FileStore. */
export class SweptVersions extends Versions<Draft> {
  readonly #claims: string

  /** @param claims Name of the folder for claims. */
  constructor(folder: Folder, claims: string, placeOf: (name: string) => string[]) {
    const self = randomBytes(8).toString('hex')
    let written = 0
    super(folder, {
      placeOf,
      claimOf: (name, tag) => [claims, `${name}.${tag}`],
      tempOf: (_name, tag) => ['temp', tag],
      tagOf,
      encode: (draft) => {
        const tag = `${self}-${(++written).toString(36)}`
        return { tag, content: encodeFile(draft, tag), mtime: draft.usedAt }
      }
    })
    this.#claims = claims
  }

  /** Removes what killed processes have left: temporary files, and claims of contents that are no more. */
  async sweep(): Promise<void> {
    const { folder, layout } = this
    for (const name of await folder.names('temp')) {
      const stats = await ifThere(fs.lstat(folder.path('temp', name)))
      if (stats !== undefined && Date.now() - stats.ctimeMs > TEMPORARY_MAX) await this.drop(['temp', name])
    }
    for (const claim of await folder.names(this.#claims)) {
      const [name, tag] = claim.split('.') as [string, string]
      const current = HASH.test(name) ? await this.tagAt(layout.placeOf(name)) : undefined
      let next = current
      while (next !== undefined && next !== tag) {
        next = await this.tagAt(layout.claimOf(name, next))
        if (next === current) next = undefined
      }
      if (next === undefined) await this.drop([this.#claims, claim])
    }
  }
}
