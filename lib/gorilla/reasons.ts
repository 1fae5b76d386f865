import { SessionError, type SessionErrorCode } from '../base/errors'

const WORDS: Partial<Record<SessionErrorCode, string>> = {
  ERR_SESSION_SIGNATURE:
    'No pair of keyPairs has made the session cookie under this name: it is forged, damaged or of a key that is not ' +
    "listed. Compare keyPairs and the cookie's name with what the Go program gives its store; an old pair goes behind " +
    'the new one.',
  ERR_SESSION_EXPIRED:
    'The session is older than maxAge, or idle and absolute have ended it. Let the visitor log in again.',
  ERR_SESSION_MISSING:
    'The session cookie is sound, but there is no such session (any more): it ended here or in Go, or the Go program ' +
    'keeps its sessions elsewhere (keyPrefix, table, folder). Let the visitor log in again.',
  ERR_SESSION_CORRUPT:
    'What Go has under this session cannot be read, by Go neither; it was left alone. The cause says what is wrong ' +
    'with it; compare the format, and keyPairs where records are sealed.'
}

/** Why a session of Go's is refused, in words that fit; `undefined` where those of the middleware do. */
export function goReason(code: SessionErrorCode, cause?: unknown): SessionError | undefined {
  const words = WORDS[code]
  return words === undefined ? undefined : new SessionError(code, words, { cause })
}
