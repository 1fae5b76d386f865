// One request through a middleware, without a network: node's own IncomingMessage and ServerResponse on a socket
// that swallows what is written.
import http from 'node:http'
import { Duplex } from 'node:stream'

class NullSocket extends Duplex {
  encrypted = false
  remoteAddress = '127.0.0.1'
  _read() {}
  _write(_chunk, _encoding, callback) {
    callback()
  }
  setTimeout() {
    return this
  }
}

// As Express does with them, of one application.
const likeExpress = process.env.BENCH_LIKE_EXPRESS && {
  req: Object.create(http.IncomingMessage.prototype),
  res: Object.create(http.ServerResponse.prototype)
}

/** Serves one request; resolves with the response once it is finished. */
export function exchange(handler, headers) {
  const socket = new NullSocket()
  const req = new http.IncomingMessage(socket)
  req.method = 'GET'
  req.url = '/'
  req.headers = headers
  const res = new http.ServerResponse(req)
  res.assignSocket(socket)
  if (likeExpress) {
    req.res = res
    Object.setPrototypeOf(req, likeExpress.req)
    Object.setPrototypeOf(res, likeExpress.res)
  }
  return new Promise((resolve, reject) => {
    res.once('finish', () => {
      res.detachSocket(socket)
      resolve(res)
    })
    handler(req, res, reject)
  })
}

/** The cookies that a response set, as a Cookie header. */
export function cookiesOf(res) {
  const list = res.getHeader('Set-Cookie')
  const texts = list === undefined ? [] : Array.isArray(list) ? list : [list]
  return texts.map((text) => text.split(';', 1)[0]).join('; ')
}
