/**
 * Opens a database of SQLite by better-sqlite3, which is compiled for one version of Node; on another by `node:sqlite`,
 * which is called alike.
 */
export function openSqlite(path: string): any {
  try {
    return new (require('better-sqlite3'))(path)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_FAILED') throw err
    return new (require('node:sqlite').DatabaseSync)(path)
  }
}
