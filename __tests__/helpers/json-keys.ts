/**
 * Whether JSON (a text) has no key that ends in a backslash. After one, the JSON.parse of V8 in Node 24 and 26 gives
 * wrong keys, whoever calls it: after `JSON.parse('[{"\\\\":1}]')`, `JSON.parse('[{"\\"":1}]')` has the key `\`.
 */
export function hasSafeKeys(json: string | undefined): boolean {
  return json === undefined || !/\\\\"\s*:/.test(json)
}
