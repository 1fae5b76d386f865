// What a run has found, as a picture for the documents. `node bench/picture.mjs` prints that of results.json.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const WIDTH = 820
const LABELS = 180
const BAR = 14
const ROW = 26
const RIGHT = 150
const PAYLOAD = '300 B'

const SCENARIOS = {
  'no session, untouched': 'a anonymous, untouched',
  'session, untouched': 'b valid cookie, untouched',
  'one value read': 'c one value read',
  'one value written': 'd one value written',
  'new session': 'e new session'
}

/** An SVG that follows the reader's colour scheme. `results`: what `run.mjs` writes. */
export function picture(results) {
  const { node, server, middleware, redis, endToEnd } = results
  const costs = (measured, ours, theirs) =>
    Object.entries(SCENARIOS).map(([label, scenario]) => {
      const us = measured[PAYLOAD][scenario]
      return { label, share: us[ours] / us[theirs], said: compared(us[theirs] / us[ours], 'less', 'more') }
    })
  const rates = (measured, where) =>
    ['read', 'write'].map((load) => {
      const factor = measured[load]['silverback sessions()']
      return { label: `${load}, ${where}`, share: factor, said: compared(factor, 'more', 'fewer') }
    })
  const panels = [
    {
      title: 'Processor time of a session in memory; less is better',
      rows: costs(middleware, 'silverback sessions(), MemoryStore', 'express-session, MemoryStore')
    },
    {
      title: `Processor time of a session in ${server}, 30 requests at a time; less is better`,
      rows: costs(redis, 'silverback sessions(), RedisStore', 'express-session, connect-redis')
    },
    {
      title: 'Requests a second of an Express application; more is better',
      rows: [...rates(endToEnd.memory, 'in memory'), ...rates(endToEnd.redis, 'in Redis')]
    }
  ]
  return drawn(panels, `Node.js ${node}, ${server}, data of ${PAYLOAD}; made by npm run bench`)
}

function drawn(panels, footnote) {
  const lines = []
  let y = 52
  for (const { title, rows } of panels) {
    // What express-session takes is as long in all rows of a panel; nothing is cut off.
    const unit = (WIDTH - LABELS - RIGHT) / Math.max(1, ...rows.map(({ share }) => share))
    lines.push(text(20, y, title, 'title'))
    y += 14
    for (const { label, share, said } of rows) {
      lines.push(text(LABELS - 12, y + BAR - 3, label, 'label'))
      lines.push(bar('theirs', y, unit), bar('ours', y, Math.max(2, unit * share)))
      lines.push(text(LABELS + Math.max(1, share) * unit + 8, y + BAR - 3, said, 'said'))
      y += ROW
    }
    y += 30
  }
  const described = panels.map(
    ({ title, rows }) => `${title}: ${rows.map((row) => `${row.label} ${row.said}`).join(', ')}.`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img" aria-labelledby="title description">
<title id="title">silverback compared with express-session</title>
<desc id="description">${escaped(`Bars of sessions() beside express-session. ${described.join(' ')}`)}</desc>
<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .label { text-anchor: end }
  .said, .note { fill: #59636e }
  .paper { fill: #ffffff; stroke: #d1d9e0 }
  .ours { fill: #1a7f64 }
  .theirs { fill: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .said, .note { fill: #9198a1 }
    .paper { fill: #0d1117; stroke: #3d444d }
    .ours { fill: #3fb68b }
    .theirs { fill: #3d444d }
  }
</style>
<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${y - 1}" rx="6"/>
<rect class="ours" x="20" y="16" width="${BAR}" height="10"/>${text(40, 25, 'silverback sessions()', 'legend')}
<rect class="theirs" x="190" y="16" width="${BAR}" height="10"/>${text(210, 25, 'express-session', 'legend')}
${lines.join('\n')}
${text(20, y - 14, footnote, 'note')}
</svg>
`
}

function bar(kind, y, width) {
  const [top, height] = kind === 'ours' ? [y + 3, BAR - 6] : [y, BAR]
  return `<rect class="${kind}" x="${LABELS}" y="${top}" width="${width.toFixed(1)}" height="${height}"/>`
}

function text(x, y, content, kind) {
  return `<text x="${Math.round(x)}" y="${y}" class="${kind}">${escaped(content)}</text>`
}

function escaped(content) {
  return content.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

function compared(factor, better, worse) {
  if (Math.abs(factor - 1) < 0.05) return 'the same'
  const [times, word] = factor > 1 ? [factor, better] : [1 / factor, worse]
  return `${times.toFixed(times < 10 ? 1 : 0)} times ${word}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(picture(JSON.parse(readFileSync(new URL('results.json', import.meta.url), 'utf8'))))
}
