import { SessionError } from '../../base/errors'

const HINTS: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'this process may not use it',
  EPERM: 'this process may not use it, or its file system knows no hard links',
  EROFS: 'its file system is read-only',
  ENOENT: 'it is gone',
  ENOTDIR: 'something else is in the place of a folder',
  EEXIST: 'something else is in the place of a folder',
  EMFILE: 'too many files are open'
}

/** The code that the operating system gave an error. */
export function codeOf(err: unknown): string | undefined {
  const { code } = (err ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** What a failed file operation is to callers; any other error as it is. Paths stay in the cause. */
export function fault(err: unknown): unknown {
  // Not `instanceof Error`: those of the system belong to the main context, also where this code runs in another.
  if ((err as NodeJS.ErrnoException | null | undefined)?.syscall === undefined) return err
  const code = codeOf(err) ?? 'unknown'
  const hint = HINTS[code]
  return new SessionError('ERR_SESSION_STORE', `The session folder fails with ${code}${hint ? `: ${hint}` : ''}.`, {
    cause: err
  })
}

/** Runs file operations; what fails becomes a `SessionError` with the system's error as its cause. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw fault(err)
  }
}

/** The value, or `undefined` when the file is not there. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return undefined
    throw err
  }
}
