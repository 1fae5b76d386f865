import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { contextOf, launchChromium } from './chromium'

const before = { secret: process.env.SESSION_SECRET, provider: process.env.PROVIDER }
process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'

const { app } = require('../../examples/oauth')

let browser: Browser
let site: Server
let provider: Server
let context: BrowserContext

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const addressOf = (host: string, server: Server) => `http://${host}:${(server.address() as AddressInfo).port}`

beforeAll(async () => {
  browser = await launchChromium(['--host-resolver-rules=MAP *.test 127.0.0.1'])
  site = await listening(createServer(app))
  // Another site, which asks the user and leads back.
  provider = await listening(
    createServer((req, res) => {
      const state = new URL(req.url!, 'http://x').searchParams.get('state')!
      const back = `${addressOf('app.test', site)}/oauth/callback?state=${encodeURIComponent(state)}&code=1`
      res.setHeader('Content-Type', 'text/html')
      res.end(`<a href="${back}">Allow</a> <a href="${addressOf('app.test', site)}/linked">More</a>`)
    })
  )
  process.env.PROVIDER = `${addressOf('provider.test', provider)}/authorize`
})

afterAll(async () => {
  await browser?.close()
  for (const server of [site, provider]) server?.close().closeAllConnections()
  for (const [name, value] of [['SESSION_SECRET', before.secret] as const, ['PROVIDER', before.provider] as const]) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
})

beforeEach(async () => {
  context = await contextOf(browser, addressOf('app.test', site))
})

afterEach(() => context.close())

async function start(returnTo: string): Promise<Page> {
  const tab = await context.newPage()
  await tab.goto(`/oauth/start?returnTo=${encodeURIComponent(returnTo)}`)
  expect(new URL(tab.url()).hostname).toBe('provider.test')
  return tab
}

async function finish(tab: Page, path: string): Promise<unknown> {
  await tab.getByRole('link', { name: 'Allow' }).click()
  await tab.waitForURL(`**${path}`)
  return JSON.parse((await tab.locator('body').textContent())!)
}

describe('the oauth example in Chromium', () => {
  it('signs two tabs in that begin and end at the same time, each where it came from', async () => {
    const [a, b] = await Promise.all([start('/a'), start('/b')])
    const answers = await Promise.all([finish(a, '/a'), finish(b, '/b')])
    const user = expect.stringContaining('provider')
    expect(answers).toEqual([
      { path: '/a', user },
      { path: '/b', user }
    ])
    expect((await context.cookies()).map(({ name, sameSite }) => [name, sameSite])).toEqual([['sid', 'Strict']])
  })

  it('signs them in one after the other, the later one first', async () => {
    const [a, b] = [await start('/a'), await start('/b')]
    expect(await finish(b, '/b')).toMatchObject({ path: '/b', user: expect.any(String) })
    expect(await finish(a, '/a')).toMatchObject({ path: '/a', user: expect.any(String) })
  })

  it('refuses a callback that was started in another browser, used already, or made up', async () => {
    const mine = await start('/mine')
    const state = new URL(mine.url()).searchParams.get('state')!
    const stranger = await contextOf(browser, addressOf('app.test', site))
    const page = await stranger.newPage()
    for (const forged of [state, 'x'.repeat(43), 'a b', '__proto__', '']) {
      const response = await page.goto(`/oauth/callback?code=1&state=${encodeURIComponent(forged)}`)
      expect([forged, response!.status()]).toEqual([forged, 400])
    }
    await stranger.close()
    await finish(mine, '/mine')
    expect((await mine.goto(`/oauth/callback?code=1&state=${state}`))!.status()).toBe(400)
  })

  it('keeps the strict cookie from the requests of another site', async () => {
    await finish(await start('/a'), '/a')
    const tab = await context.newPage()
    await tab.goto(addressOf('provider.test', provider))
    // A script that leaves the page may find nobody to answer to any more.
    await tab.getByRole('link', { name: 'More' }).click()
    await tab.waitForURL('**/linked')
    expect(JSON.parse((await tab.locator('body').textContent())!)).toEqual({ path: '/linked', user: null })
  })
})
