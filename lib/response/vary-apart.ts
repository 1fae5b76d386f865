import type { HttpResponse } from '../base/http'

/**
 * Stands for a response without headers, and sets on it all but a lone `Vary`, which can go along with `writeHead`: for
 * the first header that is set, Node makes a table, which costs a quarter of a request that reads its session.
 */
export class VaryApart implements HttpResponse {
  private isAlone = true
  /** `Vary`, if that is all there is to set. */
  vary: string | undefined

  constructor(private readonly res: HttpResponse) {}

  getHeader(name: string): number | string | string[] | undefined {
    return this.vary !== undefined && name === 'Vary' ? this.vary : this.res.getHeader(name)
  }

  setHeader(name: string, value: number | string | readonly string[]): void {
    if (this.isAlone && name === 'Vary') {
      this.vary = value as string
      return
    }
    if (this.vary !== undefined) this.res.setHeader('Vary', this.vary)
    this.vary = undefined
    this.isAlone = false
    this.res.setHeader(name, value)
  }
}
