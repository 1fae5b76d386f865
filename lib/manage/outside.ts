/**
 * What options that are functions of the request get where there is none (`auth.create()`): a request without headers
 * and without a connection. Anything else they ask for is `undefined`.
 */
export class NoRequest {
  readonly headers = {}
  readonly socket = {}

  get(): undefined {
    return undefined
  }

  header(): undefined {
    return undefined
  }
}
