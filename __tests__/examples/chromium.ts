import { execFileSync } from 'node:child_process'
import { chromium, type Browser, type BrowserContext } from 'playwright-core'

// Headless, and quiet: no sandbox because containers run tests as root, no traffic of the browser's own.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

/** How long the browser may take on a loaded machine, in ms. */
const PATIENCE = 120_000

/** Starts the Chromium of this machine: `CHROMIUM_PATH`, or the one on the PATH. */
export function launchChromium(flags: string[] = []): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH || onPath()
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags], timeout: PATIENCE })
}

/** Cookies of their own, for one server. */
export async function contextOf(browser: Browser, baseURL: string): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL })
  context.setDefaultTimeout(PATIENCE)
  return context
}

function onPath(): string {
  try {
    return execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim()
  } catch (cause) {
    const help = 'The browser tests need Chromium: run `apt-get install chromium`, or set CHROMIUM_PATH.'
    throw new Error(help, { cause })
  }
}
