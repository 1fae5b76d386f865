// The entry point for workerd, where a worker hands requests to the server that app.mjs listens with.
import { httpServerHandler } from 'cloudflare:node'
import { port } from './app.mjs'

export default httpServerHandler({ port })
