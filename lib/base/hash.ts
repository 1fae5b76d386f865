import * as crypto from 'node:crypto'

type Algorithm = 'md5' | 'sha1' | 'sha256'
type Encoding = 'hex' | 'binary' | 'base64url'

/** The hash of a text or of bytes. In one step where Node has it (20.12): that is half the work of making a Hash object. */
export const hashOf: (algorithm: Algorithm, data: string | Uint8Array, encoding: Encoding) => string =
  (crypto as Partial<typeof crypto>).hash ??
  ((algorithm, data, encoding) => crypto.createHash(algorithm).update(data).digest(encoding))
