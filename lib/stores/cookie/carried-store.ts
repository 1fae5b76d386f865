import { OptionError } from '../../base/errors'
import { chain } from '../../base/time'
import { answer, declareNative, POWERS, type Callback, type Powers, type StoreContract } from '../../store/contract'
import { Store } from '../../store/store'

/**
 * The verbs of a store whose sessions travel in their cookies. The contract alone cannot carry these: they need the
 * cookie's name and the keys, which the middleware has.
 */
export abstract class CarriedStore extends (Store as unknown as new () => Store) implements StoreContract {
  abstract readonly [POWERS]: Powers

  get(_id: string, callback?: Callback<null>): Promise<null> | undefined {
    return answer(() => null, callback)
  }

  set(_id: string, _session: object, callback?: Callback): Promise<void> | undefined {
    return answer(() => {
      const { name } = this.constructor
      throw new OptionError(`${name} works with the middleware of this package only: it needs the cookie and the keys`)
    }, callback)
  }

  destroy(id: string, callback?: Callback): Promise<void> | undefined {
    return answer(() => chain(this[POWERS].remove(id), () => undefined), callback)
  }
}

declareNative(CarriedStore)
