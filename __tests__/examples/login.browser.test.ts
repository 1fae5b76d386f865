import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { generateKey } from '../../lib'
import { launchChromium } from './chromium'

const { createApp } = require('../../examples/login/app')

const PASSWORD = 'four simple words together'

let server: Server
let browser: Browser
let context: BrowserContext
let page: Page
let faults: string[]

beforeAll(async () => {
  browser = await launchChromium()
})

afterAll(() => browser?.close())

beforeEach(async () => {
  server = createServer(createApp({ secret: generateKey() })).listen(0)
  await once(server, 'listening')
  context = await browser.newContext({ baseURL: `http://localhost:${(server.address() as AddressInfo).port}` })
  page = await context.newPage()
  faults = []
  // A style that the policy refuses, or a page that does not load, is told on the console only.
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
})

afterEach(async () => {
  await context.close()
  server.closeAllConnections()
  server.close()
})

async function fill(fields: Record<string, string>, button: string): Promise<void> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value)
  await press('button', button)
}

/** Clicks, and waits for the page that this leads to. */
async function press(role: 'button' | 'link', name: string): Promise<void> {
  const loaded = page.waitForEvent('load')
  await page.getByRole(role, { name, exact: true }).click()
  await loaded
}

async function flash(): Promise<string | null> {
  const note = page.getByRole('status')
  return (await note.count()) === 0 ? null : note.textContent()
}

async function sessionId(): Promise<string | undefined> {
  return (await context.cookies()).find(({ name }) => name === 'sid')?.value
}

describe('login example in Chromium', () => {
  it('registers, updates the profile, logs out with an empty cookie jar, and logs in again', async () => {
    await page.goto('/')
    expect(await context.cookies()).toEqual([])
    await press('link', 'Register')
    const before = await sessionId()
    await fill({ Username: 'ada', Password: PASSWORD }, 'Create account')
    expect(new URL(page.url()).pathname).toBe('/profile')
    expect(await flash()).toBe('Welcome, ada. Your account is ready.')
    expect(await sessionId()).not.toBe(before)

    await fill({ 'Display name': 'Ada Lovelace', 'About you': 'First programmer.' }, 'Save')
    expect(await flash()).toBe('Your profile is saved.')
    expect(await page.getByLabel('Display name').inputValue()).toBe('Ada Lovelace')
    await page.reload()
    expect(await flash()).toBeNull()

    await press('button', 'Sign out')
    expect(await flash()).toBe('You are signed out.')
    expect(await context.cookies()).toEqual([])
    await page.goBack()
    expect(new URL(page.url()).pathname).toBe('/login')

    await fill({ Username: 'ada', Password: PASSWORD }, 'Sign in')
    expect(new URL(page.url()).pathname).toBe('/profile')
    expect(await flash()).toBe('Welcome back, Ada Lovelace.')
    expect(faults).toEqual([])
  })

  it('keeps the cookie from scripts, and past the end of the browser only for those who asked', async () => {
    await page.goto('/register')
    await fill({ Username: 'ada', Password: PASSWORD }, 'Create account')
    expect((await context.cookies())[0]).toMatchObject({ name: 'sid', httpOnly: true, sameSite: 'Lax', expires: -1 })
    await press('button', 'Sign out')
    await page.goto('/login')
    await page.getByLabel('Keep me signed in').check()
    await fill({ Username: 'ada', Password: PASSWORD }, 'Sign in')
    const days = ((await context.cookies())[0]!.expires - Date.now() / 1000) / (24 * 60 * 60)
    expect(days).toBeGreaterThan(29.9)
    expect(days).toBeLessThanOrEqual(30)
  })

  it('names the faulty field to assistive technology', async () => {
    await page.goto('/register')
    await fill({ Username: '1', Password: PASSWORD }, 'Create account')
    expect(await page.getByRole('alert').textContent()).toContain('A username has 3 to 32 characters')
    expect(await page.getByLabel('Username').getAttribute('aria-invalid')).toBe('true')
    expect(await page.getByLabel('Username').inputValue()).toBe('1')
  })
})
