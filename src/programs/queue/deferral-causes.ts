/** Why recipients wait, as far as this machine is the cause: for `quaver status` and `quaver queue why`. In memory alone:
 *  after a restart the next attempt says it again.
 *  Knows:  what the deliverer's log says, which no bounce may show. */
import { toText, type ByteString } from '../../base/byte-string.ts'
import type { Report } from '../../contracts/deliver.ts'
import { deliveryTrouble, type Trouble } from '../../contracts/troubles.ts'
import type { Channel } from '../../stores/queue/contract.ts'

/** Recipients; the oldest are forgotten first. */
const causesMax = 10_000
/** Of those that `status` is told of. */
const toldMax = 20

interface Known {
  readonly detail: ByteString
  readonly trouble: Trouble | undefined
}

export class DeferralCauses {
  private readonly known = new Map<string, Known>()

  /** The end of an attempt. */
  reported(id: number, channel: Channel, address: ByteString, report: Report): void {
    const key = keyOf(id, address)
    this.known.delete(key)
    if (report.letter !== 'Z') return
    const { text, detail = '' } = report
    const trouble = deliveryTrouble({ channel, text: toText(text), detail: toText(detail) })
    if (trouble === undefined && detail === '') return
    this.known.set(key, { detail, trouble })
    for (const oldest of this.known.keys()) {
      if (this.known.size <= causesMax) break
      this.known.delete(oldest)
    }
  }

  removed(id: number, addresses: readonly ByteString[]): void {
    for (const address of addresses) this.known.delete(keyOf(id, address))
  }

  /** What the deliverer's log said; empty if it said nothing. */
  detail(id: number, address: ByteString): ByteString {
    return this.known.get(keyOf(id, address))?.detail ?? ''
  }

  /** Each cause once. */
  troubles(): Trouble[] {
    const found = new Map<string, Trouble>()
    for (const { trouble } of this.known.values()) {
      if (trouble !== undefined) found.set(`${trouble.kind} ${trouble.where}`, trouble)
      if (found.size >= toldMax) break
    }
    return [...found.values()]
  }
}

function keyOf(id: number, address: ByteString): string {
  return `${id} ${address}`
}
