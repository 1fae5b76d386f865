import { Slot } from '../lifecycle/slot'
import type { MaybePromise } from '../base/time'

/** The place of a session that the registry does not keep: saved by its own `save()` alone, and sent once it was. */
export class LooseSlot extends Slot {
  override commit(): MaybePromise<void> {
    const { tracked, saving } = this
    if (saving !== undefined) return saving.then(() => this.commit())
    if (tracked === undefined || this.ended || this.late) return undefined
    if (tracked.kept !== null && !tracked.dead && !this.presented(tracked)) this.outgoing = 'send'
    return undefined
  }
}
