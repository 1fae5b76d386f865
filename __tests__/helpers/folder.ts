import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'

/** A folder on the disk for one test; `remove` it afterwards. */
export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'silverback-test-'))

  at(...names: string[]): string {
    return join(this.path, ...names)
  }

  /** Every file below a folder, as relative paths, in order. */
  files(...names: string[]): string[] {
    const root = this.at(...names)
    try {
      return readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) =>
          join(entry.parentPath, entry.name)
            .slice(root.length + 1)
            .split(sep)
            .join('/')
        )
        .sort()
    } catch {
      return []
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}
