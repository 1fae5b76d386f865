import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { generateKey, MemoryStore, sessions } from '../../lib'
import { closeBrowser, launchBrowser, Person, type BrowserName } from './browsers'

const { createApp } = require('../../examples/login/app')
const passwords = require('../../examples/login/passwords')
const { memoryDocuments } = require('../../examples/login/storage/memory')
const { Users } = require('../../examples/login/users')

const PASSWORD = 'four simple words together'
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const HOUR = 60 * 60 * 1000
/** Where to put pictures of all pages: `SCREENSHOTS=docs/screenshots npx jest login.browser -t chrome`. */
const PICTURES = process.env.SCREENSHOTS

describe.each<BrowserName>(['chrome', 'firefox'])('login example in %s', (name) => {
  let browser: any
  let server: Server
  let store: MemoryStore
  let auth: ReturnType<typeof sessions>
  let people: Person[]
  let ada: { id: string }
  let passwordHash: string

  beforeAll(async () => {
    ;[browser, passwordHash] = await Promise.all([launchBrowser(name), passwords.hash(PASSWORD)])
  })

  afterAll(() => closeBrowser(browser))

  beforeEach(async () => {
    const [secret, documents] = [generateKey(), memoryDocuments()]
    store = new MemoryStore()
    auth = sessions({ secret, store, userId: (session) => session.userId })
    const users = new Users(documents)
    ada = await users.add({ username: 'ada', passwordHash, role: 'admin' })
    await users.add({ username: 'grace', passwordHash })
    server = createServer(createApp({ secret, store, documents })).listen(0, '127.0.0.1')
    await once(server, 'listening')
    people = []
  })

  afterEach(async () => {
    await Promise.all(people.map(({ context }) => context.close()))
    server.close().closeAllConnections()
    store.close()
  })

  async function person(): Promise<Person> {
    const port = (server.address() as AddressInfo).port
    const someone = await Person.at(browser, `http://localhost:${port}`)
    people.push(someone)
    return someone
  }

  async function signedIn(username = 'ada'): Promise<Person> {
    const someone = await person()
    await someone.open('/login')
    await someone.fill({ Username: username, Password: PASSWORD })
    await someone.press('Sign in')
    return someone
  }

  /** A session of Ada's in another browser, some hours old. */
  async function elsewhere(device: string, place: string, hoursAgo: number): Promise<void> {
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now - hoursAgo * HOUR)
    const data = { userId: ada.id, handle: device.replace(/\W/g, ''), device, place }
    await auth.create(data, { userId: ada.id })
    clock.mockRestore()
  }

  it('registers, updates the profile, logs out with an empty cookie jar, and logs in again', async () => {
    const visitor = await person()
    await visitor.open('/')
    expect(await visitor.cookies()).toEqual([])
    await visitor.press('Register')
    const sid = async () => (await visitor.cookies()).find((cookie) => cookie.name === 'sid')?.value
    const before = await sid()
    await visitor.fill({ Username: 'mary', Password: PASSWORD })
    await visitor.press('Create account')
    expect([visitor.path, await visitor.text('[role=status]')]).toEqual([
      '/profile',
      'Welcome, mary. Your account is ready.'
    ])
    expect(await sid()).not.toBe(before)

    await visitor.fill({ 'Display name': 'Mary Shelley', 'About you': 'Writer.' })
    await visitor.press('Save')
    expect(await visitor.text('[role=status]')).toBe('Your profile is saved.')
    await visitor.open('/profile')
    expect(await visitor.text('[role=status]')).toBeNull()
    expect(await visitor.page.$eval('#displayName', (input: any) => input.value)).toBe('Mary Shelley')

    await visitor.press('Sign out')
    expect(await visitor.text('[role=status]')).toBe('You are signed out.')
    expect(await visitor.cookies()).toEqual([])
    await visitor.page.goBack()
    expect(visitor.path).toBe('/login')
    await visitor.fill({ Username: 'mary', Password: PASSWORD })
    await visitor.press('Sign in')
    expect(await visitor.text('[role=status]')).toBe('Welcome back, Mary Shelley.')
    expect(visitor.faults).toEqual([])
  })

  it('keeps the cookie from scripts, and past the end of the browser only for those who asked', async () => {
    const visitor = await signedIn()
    const cookie = async () => (await visitor.cookies()).find(({ name }) => name === 'sid')!
    expect(await cookie()).toMatchObject({ httpOnly: true, sameSite: 'Lax', expires: -1 })
    await visitor.press('Sign out')
    await visitor.open('/login')
    await visitor.page.click('#remember')
    await visitor.fill({ Username: 'ada', Password: PASSWORD })
    await visitor.press('Sign in')
    const days = ((await cookie()).expires - Date.now() / 1000) / (24 * 60 * 60)
    // Firefox counts from its own clock, by what the Date of the answer says, which has whole seconds.
    expect(Math.abs(days - 30)).toBeLessThan(0.1)
  })

  it('tells an open page by itself that its session was ended, and why, here and on the login page', async () => {
    const [phone, laptop] = [await signedIn(), await signedIn()]
    await phone.open('/profile')
    await phone.page.type('#bio', 'Not saved yet')
    await laptop.open('/sessions')
    await laptop.press('Sign out everywhere else')
    await phone.page.waitForSelector('#ended[open]')
    expect(await laptop.text('[role=status]')).toBe('1 other device signed out.')
    const reason = /You signed out everywhere else from another device \((Chrome|Firefox) on Linux\)\./
    expect(await phone.text('#ended-reason')).toMatch(reason)
    await phone.press('Sign in again')
    expect(await phone.text('[role=status]')).toMatch(reason)
    expect(await laptop.page.$('#ended[open]')).toBeNull()
    expect([...phone.faults, ...laptop.faults]).toEqual([])
  })

  it('goes on in other pages of a browser whose session gets a new ID', async () => {
    const visitor = await signedIn()
    const other = await visitor.openPage()
    await other.goto(`${visitor.origin}/data`)
    expect(new URL(other.url()).pathname).toBe('/confirm')
    await other.type('#password', PASSWORD)
    await Promise.all([other.waitForNavigation(), other.keyboard.press('Enter')])
    expect(new URL(other.url()).pathname).toBe('/data')
    await visitor.page.bringToFront()
    await visitor.press('Save')
    expect(await visitor.text('[role=status]')).toBe('Your profile is saved.')
    expect(await visitor.page.$('#ended[open]')).toBeNull()
  })

  it('is used with the keyboard alone: problems are named, marked and focused', async () => {
    const visitor = await person()
    const { keyboard } = visitor.page
    const focused = () =>
      visitor.page.evaluate('document.activeElement.id || document.activeElement.textContent.trim()')
    const tabTo = async (wanted: string) => {
      for (let i = 0; i < 15; i++) {
        await keyboard.press('Tab')
        if ((await focused()) === wanted) return
      }
      throw new Error(`Tab does not lead to ${wanted}`)
    }
    await visitor.open('/register')
    await tabTo('username')
    await keyboard.type('1')
    await tabTo('password')
    await keyboard.type(PASSWORD)
    await visitor.leaving(() => keyboard.press('Enter'))
    // The field takes the focus when the page is first drawn, which may be after it is loaded.
    await visitor.page.waitForSelector('#username:focus')
    const field = await visitor.page.$eval('#username', (input: any) => {
      const ids = input.getAttribute('aria-describedby').split(' ')
      const described = ids.map((id: string) => input.ownerDocument.getElementById(id).textContent.trim()).join(' ')
      return [input.value, input.getAttribute('aria-invalid'), described]
    })
    expect(field).toEqual(['1', 'true', expect.stringContaining('A username has 3 to 32 characters')])

    await keyboard.press('Backspace')
    await keyboard.type('mary')
    await tabTo('password')
    await keyboard.type(PASSWORD)
    await tabTo('Create account')
    await visitor.leaving(() => keyboard.press('Enter'))
    expect(visitor.path).toBe('/profile')
    await tabTo('Devices')
    await visitor.leaving(() => keyboard.press('Enter'))
    await tabTo('Sign out')
    await visitor.leaving(() => keyboard.press('Enter'))
    expect(await visitor.text('[role=status]')).toBe('You are signed out.')
  })

  it('looks right on every page: axe finds nothing serious, and nothing is off-screen', async () => {
    const visitor = await person()
    const found: unknown[] = []
    const check = async (picture: string) => found.push(...(await inspect(visitor, picture)))
    await visitor.open('/')
    await check('home')
    await visitor.open('/register?admin=a-token')
    await visitor.fill({ Username: '1', Password: PASSWORD })
    await visitor.press('Create account')
    await check('register-problem')
    await visitor.open('/shop')
    await check('shop-empty')
    await visitor.press('Add Green tea')
    await visitor.press('Add A good book')
    await visitor.open('/profile')
    await visitor.fill({ Username: 'ada', Password: 'a wrong password' })
    await visitor.press('Sign in')
    await check('login-problem')
    await visitor.fill({ Password: PASSWORD })
    await visitor.press('Sign in')
    await check('profile')
    await visitor.page.$eval('[name=_csrf]', (input: any) =>
      input.ownerDocument.querySelectorAll('[name=_csrf]').forEach((each: any) => (each.value = ''))
    )
    await visitor.fill({ 'About you': 'Wrote the first program, and would like to keep this text.' })
    await visitor.press('Save')
    await check('expired-form')
    await visitor.open('/sessions')
    await check('devices-one')
    await elsewhere('Safari on iOS', 'Internet, 203.0.x.x', 5)
    await elsewhere('Firefox on Windows', 'Local network', 2)
    for (const [address, picture] of [
      ['/', 'home-member'],
      ['/sessions', 'devices'],
      ['/shop', 'shop'],
      ['/password', 'password'],
      ['/admin', 'admin'],
      ['/admin?q=nobody', 'admin-nobody'],
      ['/nowhere', 'not-found'],
      ['/data', 'confirm']
    ] as const) {
      await visitor.open(address)
      await check(picture)
    }
    await visitor.fill({ Password: PASSWORD })
    await visitor.press('Continue')
    await check('data')
    await auth.revoke(ada.id)
    await visitor.page.waitForSelector('#ended[open]')
    await check('ended')
    await visitor.press('Sign in again')
    await check('login')
    expect(found).toEqual([])
  })

  /** Looks at a page in light and dark, wide and narrow. */
  async function inspect({ page, faults }: Person, picture: string): Promise<unknown[]> {
    const found: unknown[] = []
    await page.evaluate(AXE)
    for (const [width, theme, rules] of [
      [1280, 'light', undefined],
      [1280, 'dark', ['color-contrast']],
      [390, 'light', undefined],
      [390, 'dark', ['color-contrast']],
      [320, 'light', []]
    ] as const) {
      await page.setViewport({ width, height: width < 1000 ? 780 : 800 })
      await prefer(page, theme)
      const off = await page.evaluate(OFF_SCREEN)
      if (off.length > 0) found.push({ picture, width, off })
      if (rules?.length !== 0) {
        const run = rules ? `{ runOnly: ${JSON.stringify(rules)} }` : '{}'
        const { violations } = await page.evaluate(`axe.run(document, ${run})`)
        for (const { id, impact, nodes } of violations) {
          if (impact === 'serious' || impact === 'critical')
            found.push({ picture, width, theme, id, at: nodes[0].html })
        }
      }
      const isKept = (width === 1280 && theme === 'light') || (width === 390 && theme === 'dark')
      if (PICTURES && isKept) {
        const file = path.join(PICTURES, `${picture}-${width}.webp`)
        await page.screenshot({ path: file, type: 'webp', quality: 50 })
      }
    }
    // A page that is an error is told on the console as well.
    const unexpected = faults.splice(0).filter((fault) => !/status of (401|403|404|422)/.test(fault))
    return unexpected.length > 0 ? [...found, { picture, unexpected }] : found
  }

  // Where the system's preference cannot be changed, the visitor chooses in the page.
  async function prefer(page: any, theme: 'light' | 'dark'): Promise<void> {
    if (name === 'chrome') await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
    else if (theme === 'light') await page.evaluate('document.documentElement.dataset.theme = "light"')
    else await page.evaluate('delete document.documentElement.dataset.theme')
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    const [red] = /\d+/.exec(ground)!
    expect([theme, Number(red) < 100]).toEqual([theme, theme === 'dark'])
  }
})

/** What sticks out of the window to a side, or makes the page wider than it. */
const OFF_SCREEN = `[...document.querySelectorAll('body *')]
  .filter((node) => node.checkVisibility() && !node.closest('.skip, thead, option, script'))
  .map((node) => [node, node.getBoundingClientRect()])
  .filter(([, { left, right, width }]) => width > 0 && (left < -0.5 || right > innerWidth + 0.5))
  .map(([node]) => node.outerHTML.slice(0, 120))
  .concat(document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [])`
