import request from 'supertest'
import { sessions } from '../lib/index'
import { appWith, secret } from './helpers/app'
import { basics } from './helpers/basics'

describe('caches', () => {
  it('keep no response that sets a session cookie, and tell apart those that read one', async () => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const app = appWith(sessions({ secret }), {
      ...basics,
      '/public': (req: any, res: any) => {
        req.session.x = 1
        res.set('Cache-Control', 'public, max-age=60').send('x')
      }
    })
    const res = await request(app).get('/public')
    jest.restoreAllMocks()
    expect(res.headers['cache-control']).toBe('private, no-store')
    expect((await request(app).get('/read')).headers.vary).toBe('Cookie')
    expect((await request(app).get('/nothing')).headers.vary).toBeUndefined()
  })
})
