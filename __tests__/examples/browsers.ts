import { execFileSync } from 'node:child_process'

// Drives Chromium by its own protocol and Firefox by WebDriver BiDi. Loaded without its types: they are most of what a
// check of the tests would read, for the dozen methods used here.
const puppeteer: any = require('puppeteer-core')

const PROGRAMS = {
  chrome: { variable: 'CHROMIUM_PATH', names: ['chromium'] },
  firefox: { variable: 'FIREFOX_PATH', names: ['firefox-esr', 'firefox'] }
}
export type BrowserName = keyof typeof PROGRAMS

/** How long a browser may take on a loaded machine, in ms. */
const PATIENCE = 120_000

/** A browser of this machine, whose system prefers dark colours where it is Firefox: there it cannot be changed later. */
export function launchBrowser(browser: BrowserName): Promise<any> {
  return puppeteer.launch({
    browser,
    executablePath: programOf(browser),
    timeout: PATIENCE,
    // No sandbox because containers run tests as root.
    args: browser === 'chrome' ? ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] : [],
    extraPrefsFirefox: { 'layout.css.prefers-color-scheme.content-override': 0 }
  })
}

/** Firefox is started by a script, which does not always end with it. */
export async function closeBrowser(browser: any): Promise<void> {
  const child = browser?.process()
  await browser?.close()
  child?.kill('SIGKILL')
  for (const end of child?.stdio ?? []) end?.destroy()
}

function programOf(browser: BrowserName): string {
  const { variable, names } = PROGRAMS[browser]
  if (process.env[variable]) return process.env[variable]
  for (const name of names) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim()
    } catch {
      // The next name, or the message below.
    }
  }
  throw new Error(`The browser tests need ${names[0]}: run \`apt-get install ${names[0]}\`, or set ${variable}.`)
}

async function pageIn(context: any): Promise<any> {
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  return page
}

/** Somebody at a browser: cookies of their own, and one page. */
export class Person {
  /** What the console reports: a script or style that the policy refuses, a page that does not load. */
  readonly faults: string[] = []

  private constructor(
    readonly context: any,
    readonly page: any,
    readonly origin: string
  ) {
    page.on('console', (message: any) => message.type() === 'error' && this.faults.push(message.text()))
    page.on('pageerror', (error: Error) => this.faults.push(error.message))
  }

  static async at(browser: any, origin: string): Promise<Person> {
    const context = await browser.createBrowserContext()
    return new Person(context, await pageIn(context), origin)
  }

  /** A second page, beside the first. */
  openPage(): Promise<any> {
    return pageIn(this.context)
  }

  async open(path: string): Promise<void> {
    await this.page.goto(this.origin + path)
  }

  get path(): string {
    return new URL(this.page.url()).pathname
  }

  async fill(fields: Record<string, string>): Promise<void> {
    for (const [label, value] of Object.entries(fields)) {
      const id = await this.page.$eval(`::-p-xpath(//label[normalize-space()="${label}"])`, (node: any) => node.htmlFor)
      await this.page.$eval(`#${id}`, (input: any) => (input.value = ''))
      await this.page.type(`#${id}`, value)
    }
  }

  /** Clicks a button, or else a link, by its name, and waits for the page that this leads to. */
  async press(name: string): Promise<void> {
    const named = (tag: string) => `//${tag}[normalize-space()="${name}" or @aria-label="${name}"]`
    const target = `::-p-xpath(${named('button')} | ${named('a')}[not(${named('button')})])`
    await this.leaving(() => this.page.$eval(target, (node: any) => node.click()))
  }

  /** Does something, and waits for the page that this leads to. */
  async leaving(act: () => Promise<unknown>): Promise<void> {
    await Promise.all([this.page.waitForNavigation(), act()])
  }

  async text(selector: string): Promise<string | null> {
    const texts: string[] = await this.page.$$eval(selector, (nodes: any[]) => nodes.map((node) => node.textContent))
    return texts.length === 0 ? null : texts.join(' ').replace(/\s+/g, ' ').trim()
  }

  cookies(): Promise<{ name: string; value: string; httpOnly: boolean; sameSite: string; expires: number }[]> {
    return this.context.cookies()
  }
}
