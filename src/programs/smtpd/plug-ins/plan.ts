/** Which plug-ins a session has: those of control/smtpplugins, unless NOSPP or SPPCONFFILE in its environment say otherwise. */
import { type ByteString, fromBuffer } from '../../../base/byte-string.ts'
import type { Variables } from '../../../contracts/execute.ts'
import { parseList } from '../../../protocols/qmail/control-format.ts'
import { encodingFault } from '../../../protocols/qmail/written-text.ts'
import { noPlugIns, parsePlugIns, type PlugIns } from '../../../protocols/spp/plug-ins.ts'

export interface SppPlan {
  readonly plugIns: PlugIns
  /** For the log and for `explain`. */
  readonly decidedBy: string
}

/** Keyed by list, so that an unchanged file is not parsed again. */
const parsed = new WeakMap<readonly ByteString[], PlugIns>()

/** `listed`: control/smtpplugins. `readFile`: relative to the home, undefined if there is no such file; an absent file means no
 *  plug-ins, one that cannot be read throws. */
export function planPlugIns(
  environment: Variables,
  listed: readonly ByteString[],
  readFile: (name: ByteString) => Buffer | undefined,
): SppPlan {
  if (environment.has('NOSPP')) return { plugIns: noPlugIns, decidedBy: 'NOSPP' }
  const named = environment.get('SPPCONFFILE') ?? ''
  if (named !== '') {
    const content = readFile(named)
    const text = content === undefined ? '' : fromBuffer(content)
    const fault = encodingFault(text)
    if (fault !== undefined) throw new Error(`${named} ${fault}`)
    const lines = parseList(text)
    return { plugIns: parsePlugIns(lines), decidedBy: named }
  }
  let plugIns = parsed.get(listed)
  if (plugIns === undefined) {
    plugIns = parsePlugIns(listed)
    parsed.set(listed, plugIns)
  }
  return { plugIns, decidedBy: 'control/smtpplugins' }
}
