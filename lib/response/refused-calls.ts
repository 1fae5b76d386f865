import { isHttp1, type HeldResponse } from './commit-hook'

/** Has the callback of a call that is not carried out called when the response has been sent. */
export function dropCall(res: HeldResponse, args: unknown[]): void {
  const callback = args[args.length - 1]
  if (typeof callback === 'function') res.once?.('finish', () => void (callback as () => unknown)())
}

/**
 * Answers a write that comes after the end as Node does, but for an `error` that nobody listens for: it would end the
 * process, which express-session spares those who wait for their store.
 * @param behind does something later, once the answer that is held has been sent: whoever destroys the response for the
 * error must not take it along
 */
export function refuseWrite(res: HeldResponse, args: unknown[], behind: (action: () => void) => void): false {
  const err = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  const callback = args[args.length - 1]
  if (typeof callback === 'function') process.nextTick(callback, err)
  const tell = () => {
    if (isHttp1(res) && !res.destroyed && res.listenerCount?.('error')) res.emit!('error', err)
  }
  behind(tell)
  return false
}

/** Answers a second end(): `false`, as express-session does; its callback and a part of the body as Node does. */
export function refuseEnd(res: HeldResponse, args: unknown[], behind: (action: () => void) => void): false {
  const [chunk] = args
  if (chunk != null && typeof chunk !== 'function') return refuseWrite(res, args, behind)
  const callback = args[args.length - 1]
  const err = Object.assign(new Error('end after end'), { code: 'ERR_STREAM_ALREADY_FINISHED' })
  if (res.writableFinished !== true) dropCall(res, args)
  else if (typeof callback === 'function') process.nextTick(callback, err)
  return false
}
