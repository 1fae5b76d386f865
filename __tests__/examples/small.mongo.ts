import request from 'supertest'
import { mongoUrl } from '../helpers/mongo-engine'

it('mongo counts', async () => {
  process.env.MONGODB_URL = mongoUrl()
  process.env.SESSION_SECRET = 'a secret for the examples, 32 bytes or more'
  const { app, client } = require('../../examples/mongo')
  try {
    const agent = request.agent(app)
    expect((await agent.get('/')).body).toEqual({ views: 1 })
    expect((await agent.get('/')).body).toEqual({ views: 2 })
  } finally {
    await client.close()
  }
})
