/** Handshakes that another process makes for this one, on request (UCSPI-TLS: sslserver -n, s6-ucspitlsd): it has the keys, the
 *  connection, and two more descriptors with what is said in clear.
 *  Fails:  a rejection where the helper is silent or gone. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { fromBuffer } from '../base/byte-string.ts'
import { type Clock, within } from './clock.ts'
import { StreamPair } from './stream-pair.ts'

/** Their names in the environment. */
export const ucspiTlsDescriptors = ['SSLCTLFD', 'SSLREADFD', 'SSLWRITEFD'] as const
/** Begin, and say in variables what has been agreed. */
const beginAndTell = 'Y'
const variablesBytesMax: number = 64 * 1024

export interface Agreed {
  /** What is said in clear. */
  readonly stream: Duplex
  /** As mod_ssl calls them: SSL_PROTOCOL, SSL_CIPHER … */
  readonly variables: ReadonlyMap<string, string>
}

/** A descriptor's number, if the variable holds one that is not of the standard ones. */
export function descriptorNamed(value: string | undefined): number | undefined {
  return value !== undefined && /^[0-9]{1,4}$/.test(value) && Number(value) > 2 ? Number(value) : undefined
}

/** Undefined: there is no helper to make a handshake. */
export function ucspiTls(
  environment: ReadonlyMap<string, string>,
  clock: Clock,
  millisecondsMax: number,
): (() => Promise<Agreed>) | undefined {
  const [control, input, output] = ucspiTlsDescriptors.map((name) => descriptorNamed(environment.get(name)))
  if (control === undefined || input === undefined || output === undefined) return undefined
  return async () => {
    const variables = await within(clock, millisecondsMax, 'the handshake', ask(new Socket({ fd: control })))
    return { stream: streamOf(input, output), variables }
  }
}

function ask(helper: Socket): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    let said = ''
    helper.on('data', (bytes: Buffer) => {
      said += fromBuffer(bytes)
      const end = said === '\0' ? 0 : said.indexOf('\0\0')
      if (end >= 0) resolve(readVariables(said.slice(0, end)))
      else if (said.length > variablesBytesMax) reject(new Error(`more than ${variablesBytesMax} bytes of variables`))
    })
    helper.on('error', reject)
    helper.on('close', () => reject(new Error('the helper has gone')))
    helper.write(beginAndTell)
  })
}

function readVariables(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\0').map((entry) => {
      const equals = entry.indexOf('=')
      return [entry.slice(0, equals), entry.slice(equals + 1)] as const
    }),
  )
}

function streamOf(input: number, output: number): Duplex {
  if (input === output) return new Socket({ fd: input, readable: true, writable: true, allowHalfOpen: true })
  return new StreamPair(
    new Socket({ fd: input, readable: true, writable: false }),
    new Socket({ fd: output, readable: false, writable: true }),
  )
}
