'use strict'

const TABLE = 'login_example_documents'

/**
 * Documents in a table of a database.
 *
 * @param {(sql: string, values: unknown[]) => Promise<{ rows?: object[], changes?: number }>} run
 */
async function sqlDocuments(run, { isMysql = false } = {}) {
  await run(
    `CREATE TABLE IF NOT EXISTS ${TABLE} (name VARCHAR(150) PRIMARY KEY, document TEXT NOT NULL, ends BIGINT)`,
    []
  )
  const insert = (verb, end) => `${verb} INTO ${TABLE} (name, document, ends) VALUES (?, ?, ?) ${end}`
  const ADD = isMysql ? insert('INSERT IGNORE', '') : insert('INSERT', 'ON CONFLICT (name) DO NOTHING')
  const SET = isMysql
    ? insert('REPLACE', '')
    : insert('INSERT', 'ON CONFLICT (name) DO UPDATE SET document = excluded.document, ends = excluded.ends')
  const select = async (condition, value) => {
    const sql = `SELECT document FROM ${TABLE} WHERE ${condition} AND (ends IS NULL OR ends > ?)`
    return (await run(sql, [value, Date.now()])).rows.map(({ document }) => JSON.parse(document))
  }

  return {
    get: async (key) => (await select('name = ?', key))[0] ?? null,
    add: async (key, value) => (await run(ADD, [key, JSON.stringify(value), null])).changes > 0,
    async set(key, value, ttl) {
      await run(SET, [key, JSON.stringify(value), ttl === undefined ? null : Date.now() + ttl])
      // What has ended goes whenever something is added that will end.
      if (ttl !== undefined) await run(`DELETE FROM ${TABLE} WHERE ends < ?`, [Date.now()])
    },
    list: (prefix) => select('name LIKE ?', `${prefix}%`)
  }
}

const postgres = (pool) => async (sql, values) => {
  let number = 0
  const { rows, rowCount } = await pool.query(
    sql.replace(/\?/g, () => `$${++number}`),
    values
  )
  return { rows, changes: rowCount }
}

const mysql = (pool) => async (sql, values) => {
  const [rows] = await pool.execute(sql, values)
  return { rows, changes: rows.affectedRows }
}

/** For `node:sqlite` and better-sqlite3. */
const sqlite = (database) => async (sql, values) => {
  const statement = database.prepare(sql)
  if (sql.startsWith('SELECT')) return { rows: statement.all(...values) }
  return { changes: Number(statement.run(...values).changes) }
}

module.exports = { sqlDocuments, postgres, mysql, sqlite }
