/**
 * A class that may be called without `new` as well, as those of the time before classes: `Base.call(this)` in a
 * constructor of `util.inherits`. Such a call gives `this` the properties of a new instance; the class must not rely on
 * private fields.
 */
export function callable<C extends new (...args: any[]) => object>(
  base: C
): C & ((this: object, ...args: any[]) => void) {
  const both = new Proxy(base, {
    apply(_, self: object, args) {
      Object.defineProperties(self, Object.getOwnPropertyDescriptors(Reflect.construct(base, args)))
    }
  })
  ;(base.prototype as { constructor: unknown }).constructor = both
  return both as never
}
