/** Where a response keeps its gate. */
export const GATE = Symbol('silverback.gate')

/** What takes the calls of a response. */
interface Guard {
  writeHead(args: any[]): any
  write(args: any[]): any
  end(args: any[]): any
  flush(): void
}

// Shared functions, found by symbol: no closure is made for a request.

export function writeHead(this: any, ...args: any[]): any {
  return (this[GATE] as Guard).writeHead(args)
}

export function write(this: any, ...args: any[]): any {
  return (this[GATE] as Guard).write(args)
}

export function end(this: any, ...args: any[]): any {
  return (this[GATE] as Guard).end(args)
}

export function flushHeaders(this: any): void {
  ;(this[GATE] as Guard).flush()
}

/**
 * Takes the body back from whoever wraps it behind us (compression, say): they have had their end(), so an error page
 * would get lost in them, and what they still pass on belongs to the response that was refused.
 *
 * @param drop takes what they still pass on
 * @returns what gives it back to them
 */
export function reclaim(res: any, guard: Guard, drop: (args: any[]) => void): () => void {
  const theirs = { write: res.write, end: res.end }
  const ours = theirs.write === write && theirs.end === end
  if (ours || typeof theirs.write !== 'function' || typeof theirs.end !== 'function') return () => undefined
  // Never asks to wait: they may keep who listens for a drain to themselves.
  res.write = (...args: any[]) => (guard.write(args), true)
  res.end = (...args: any[]) => guard.end(args)
  // The shared functions are now only what they have of us.
  res[GATE] = {
    writeHead: (args: any[]) => guard.writeHead(args),
    flush: () => guard.flush(),
    write: (args: any[]) => (drop(args), true),
    end: (args: any[]) => (drop(args), res)
  }
  return () => {
    Object.assign(res, theirs)
    res[GATE] = guard
  }
}
