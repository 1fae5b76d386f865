import { describeConcurrentRequests } from './helpers/concurrent'
import { describeLateWriters } from './helpers/late'
import { mongoUrl, newName } from './helpers/mongo-engine'
import { apart } from './helpers/race'

const open = (stringify: boolean) =>
  apart(async () => ({ place: { mongo: { url: mongoUrl(), name: newName(), stringify } }, close: () => undefined }))

describe.each([
  ['JSON text', open(true)],
  ['documents', open(false)]
])('in MongoDB as %s, two processes', (_name, ground) => {
  describe('concurrent requests on one session', () => describeConcurrentRequests(ground, 1000))
  describe('a session', () => describeLateWriters(ground))
})
