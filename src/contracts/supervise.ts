/** supervise: what `start` and a program say to one another over descriptor 3.
 *
 *  start to program: `stop` (finish what runs, refuse new work, exit in time), `reload` (HUP), `retry` (ALRM), `ask` (for
 *  troubles and counts), `tls` (certificates and keys as bytes, again on renewal). End of file means the same as `stop`:
 *  start is gone.
 *  program to start: `ready` (its sockets are served), `failed` (a text; it will exit and should not be restarted at
 *  once), `troubles` (all present troubles, and the counts, in answer to `ask`). Descriptors from 4 on are the listening
 *  sockets, in the order of the `--listen` arguments. */
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { type Counts, readCounts, writeCounts } from './counts.ts'
import { readTroubles, type Trouble, writeTroubles } from './troubles.ts'
import { type ByteString, fromText, toText } from '../base/byte-string.ts'

const type = { ready: 64, failed: 65, troubles: 66, stop: 72, reload: 73, tls: 74, retry: 75, ask: 76 } as const
const pemBytesMax: number = 256 * 1024
const hostNameBytesMax = 255
export const ticketKeysBytes = 48

/** Certificates beside the default one. */
export const tlsPairsMax = 100
/** Host names of one certificate. */
export const tlsNamesMax = 100
/** All names, certificates and keys of an order: it must fit into a frame. */
export const tlsOrderBytesMax: number = 1024 * 1024

export interface NamedPair {
  /** Lower-case host names for which a client gets this certificate. */
  readonly names: readonly string[]
  /** The chain, the server's own certificate first. */
  readonly certificatePem: string
  readonly keyPem: string
}

export interface TlsOrder {
  readonly kind: 'tls'
  /** The first is the default: for clients that name no host, or another. Never empty. */
  readonly pairs: readonly NamedPair[]
  /** 48 secret bytes: processes that share them resume the same sessions. They change with `pairs`, so that a resumed session
   *  always belongs to the certificates in force. */
  readonly ticketKeys: ByteString
}

export type FromProgram =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly text: string }
  | { readonly kind: 'troubles'; readonly troubles: readonly Trouble[]; readonly counts: Counts }
export type ToProgram = { readonly kind: 'stop' | 'reload' | 'retry' | 'ask' } | TlsOrder

export function encodeFromProgram(message: FromProgram): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'troubles') {
    writeTroubles(fields, message.troubles)
    writeCounts(fields, message.counts)
  }
  if (message.kind === 'failed') fields.string(fromText(message.text).slice(0, 4096))
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeFromProgram(frame: Frame): FromProgram | undefined {
  if (frame.type === type.ready) return { kind: 'ready' }
  if (frame.type === type.failed) return { kind: 'failed', text: toText(new FieldReader(frame.payload).string(4096)) }
  if (frame.type === type.troubles) {
    const fields = new FieldReader(frame.payload)
    return { kind: 'troubles', troubles: readTroubles(fields), counts: readCounts(fields) }
  }
  return undefined
}

export function encodeToProgram(message: ToProgram): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'tls') {
    fields.string(message.ticketKeys).u32(message.pairs.length)
    for (const { names, certificatePem, keyPem } of message.pairs)
      fields.strings(names).string(fromText(certificatePem)).string(fromText(keyPem))
  }
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeToProgram(frame: Frame): ToProgram | undefined {
  switch (frame.type) {
    case type.stop:
      return { kind: 'stop' }
    case type.reload:
      return { kind: 'reload' }
    case type.retry:
      return { kind: 'retry' }
    case type.ask:
      return { kind: 'ask' }
    case type.tls:
      return readTlsOrder(new FieldReader(frame.payload))
    default:
      return undefined
  }
}

function readTlsOrder(fields: FieldReader): TlsOrder {
  const ticketKeys = fields.string(ticketKeysBytes)
  const count = fields.u32()
  if (count < 1 || count > 1 + tlsPairsMax) throw new ContractError(`${count} certificates`)
  const pairs: NamedPair[] = []
  for (let n = 0; n < count; n++) {
    const names = fields.strings(tlsNamesMax, hostNameBytesMax)
    pairs.push({
      names,
      certificatePem: toText(fields.string(pemBytesMax)),
      keyPem: toText(fields.string(pemBytesMax)),
    })
  }
  fields.end()
  return { kind: 'tls', pairs, ticketKeys }
}
