// Tables in Markdown: as fit to read as to paste.

const NODE = `Node ${process.versions.node}`

/** `rows`: arrays of cells, the first of them a name. The title says what ran it, in front of a colon. */
export function table(title, head, rows) {
  const [what, measure] = title.split(/(?=: )/)
  const cells = [head, ...rows].map((row) => row.map((cell) => shown(cell)))
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)))
  const line = (row) =>
    `| ${row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`
  return [`### ${what}, ${NODE}${measure ?? ''}`, '', line(cells[0]), rule, ...cells.slice(1).map(line), ''].join('\n')
}

function shown(cell) {
  if (typeof cell !== 'number') return cell ?? ''
  return Math.abs(cell) >= 100 ? cell.toFixed(0) : cell.toFixed(Math.abs(cell) >= 10 ? 1 : 2)
}
