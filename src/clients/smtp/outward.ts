/** Whether this machine can reach port 25 of other mail servers: many providers close it.
 *  Fails:  nothing; the answer says what was seen. */
import { connect } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import type { Dns } from '../dns/dns.ts'

export interface OutwardFacts {
  /** A greeting of a mail server came back. */
  readonly open: boolean
  /** The server that greeted, or what each said. */
  readonly text: string
}

/** Large ones, with servers everywhere. */
const wellKnown: readonly string[] = ['gmail.com', 'outlook.com', 'yahoo.com']
const greetingBytesMax = 512

/** The first that greets counts; all are asked at once. */
export async function reachOutward(dns: Dns, millisecondsMax: number, clock: Clock): Promise<OutwardFacts> {
  const asked = wellKnown.map(async (domain) => {
    const answer = await dns.mx(domain)
    if (answer.kind !== 'found') return { open: false, text: `${domain}: no exchanger (${reason(answer)})` }
    const [best] = answer.values
    return best === undefined ? { open: false, text: domain } : await greets(best.name, 25, millisecondsMax, clock)
  })
  const facts = await Promise.all(asked)
  return facts.find(({ open }) => open) ?? { open: false, text: facts.map(({ text }) => text).join('; ') }
}

export function greets(host: string, port: number, millisecondsMax: number, clock: Clock): Promise<OutwardFacts> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (open: boolean, text: string): void => {
      cancel()
      socket.destroy()
      resolve({ open, text: `${host}:${port}: ${text}` })
    }
    const cancel = clock.after(millisecondsMax, () => end(false, `no greeting in ${millisecondsMax / 1000} s`))
    let said = ''
    socket.on('error', (error) => end(false, describeError(error)))
    socket.on('close', () => end(false, 'closed without a greeting'))
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1')
      // Whatever it says of us, the port is open.
      if (/^\d\d\d/.test(said)) end(true, 'greets')
      else if (said.length > greetingBytesMax) end(false, 'says something that is no greeting')
    })
  })
}

function reason(answer: { readonly kind: string; readonly why?: string }): string {
  return answer.why ?? answer.kind
}
