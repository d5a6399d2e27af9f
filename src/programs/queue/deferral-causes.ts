/** Why recipients wait, as far as this machine is the cause: for `quaver status`. In memory alone: after a restart the next
 *  attempt says it again, and `quaver queue why` reads it from the recipient's row meanwhile. */
import { type ByteString, toText } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'

/** Recipients; the oldest are forgotten first. */
const causesMax = 10_000
/** Of those that `status` is told of. */
const toldMax = 20

export class DeferralCauses {
  private readonly known = new Map<string, Trouble>()

  /** The end of an attempt. */
  reported(id: number, address: ByteString, status: Status): void {
    const key = keyOf(id, address)
    this.known.delete(key)
    const trouble = status.class === 4 ? troubleIn(toText(status.logText)) : undefined
    if (trouble === undefined) return
    this.known.set(key, trouble)
    for (const oldest of this.known.keys()) {
      if (this.known.size <= causesMax) break
      this.known.delete(oldest)
    }
  }

  removed(id: number, addresses: readonly ByteString[]): void {
    for (const address of addresses) this.known.delete(keyOf(id, address))
  }

  /** Each cause once. */
  troubles(): Trouble[] {
    const found = new Map<string, Trouble>()
    for (const trouble of this.known.values()) {
      found.set(`${trouble.kind} ${trouble.where}`, trouble)
      if (found.size >= toldMax) break
    }
    return [...found.values()]
  }
}

function keyOf(id: number, address: ByteString): string {
  return `${id} ${address}`
}
