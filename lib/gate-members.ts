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
