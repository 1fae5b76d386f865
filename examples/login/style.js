'use strict'

/** The style of every page. Inline, so that a page is one answer; allowed by its hash (`headers.js`). */
const css = `
:root {
  color-scheme: light;
  --ink: #1c2430; --soft: #586374; --line: #d8dee6; --paper: #fff; --ground: #f3f5f8;
  --accent: #2455c3; --on-accent: #fff; --good: #e7f5ec; --good-line: #2f8f57; --bad: #fdecec; --bad-line: #c23a3a;
}
[data-theme='dark'] {
  color-scheme: dark;
  --ink: #e8ecf2; --soft: #a3aebd; --line: #354052; --paper: #1b222d; --ground: #12171f;
  --accent: #8ab0ff; --on-accent: #10182a; --good: #16301f; --good-line: #55b97e; --bad: #3a1c1e; --bad-line: #e27a7a;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; }
header, main, footer { max-width: 44rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: center; padding-top: 1.25rem; }
header .brand { font-weight: 700; text-decoration: none; color: var(--ink); margin-right: auto; }
header a:not(.brand) { text-decoration: none; }
header a[aria-current] { color: var(--ink); font-weight: 600; }
main { margin-top: 1.5rem; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem 1.75rem; }
.card > :last-child { margin-bottom: 0; }
main:has(.narrow) { max-width: 28.5rem; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 1rem; }
label, .check { display: block; margin-top: 1rem; font-weight: 600; }
.hint { margin: .1rem 0 0; font-weight: 400; font-size: .875rem; color: var(--soft); }
input:not([type=checkbox]), textarea {
  display: block; width: 100%; margin-top: .3rem; padding: .6rem .75rem; font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--soft); border-radius: 8px;
}
[aria-invalid] { border-color: var(--bad-line) !important; }
.check label { display: inline; font-weight: 400; }
button {
  margin-top: 1.25rem; padding: .6rem 1.2rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-accent); background: var(--accent); border: 1px solid var(--accent); border-radius: 8px;
}
button.plain {
  margin: 0; padding: .2rem .6rem; font-size: .9rem; font-weight: 400;
  color: var(--ink); background: none; border-color: var(--line);
}
.note, .alert { margin: 0 0 1rem; padding: .7rem 1rem; border-left: 4px solid; border-radius: 8px; }
.note { background: var(--good); border-color: var(--good-line); }
.alert { background: var(--bad); border-color: var(--bad-line); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .6rem .75rem .6rem 0; text-align: left; border-bottom: 1px solid var(--line); }
th { font-size: .875rem; color: var(--soft); }
.scroll { overflow-x: auto; }
time, button { white-space: nowrap; }
footer { padding: 1.5rem 1.25rem; font-size: .875rem; color: var(--soft); }
`

module.exports = { css }
