/** supervise: what `start` and a program say to one another over descriptor 3.
 *
 *  start to program: `stop` (finish what runs, refuse new work, exit in time), `reload` (HUP), `tls` (certificate and
 *  key as bytes, again on renewal). End of file means the same as `stop`: start is gone.
 *  program to start: `ready` (its sockets are served), `failed` (a text; it will exit and should not be restarted at
 *  once). Descriptors from 4 on are the listening sockets, in the order of the `--listen` arguments. */
import { FieldReader, FieldWriter } from './fields.ts'
import { encodeFrame, type Frame } from './frame.ts'
import { fromText, toText } from '../base/byte-string.ts'

const type = { ready: 64, failed: 65, stop: 72, reload: 73, tls: 74 } as const
const pemBytesMax: number = 256 * 1024

export type FromProgram = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly text: string }
export type ToProgram =
  | { readonly kind: 'stop' }
  | { readonly kind: 'reload' }
  | { readonly kind: 'tls'; readonly certificatePem: string; readonly keyPem: string }

export function encodeFromProgram(message: FromProgram): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'failed') fields.string(fromText(message.text).slice(0, 4096))
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeFromProgram(frame: Frame): FromProgram | undefined {
  if (frame.type === type.ready) return { kind: 'ready' }
  if (frame.type === type.failed) return { kind: 'failed', text: toText(new FieldReader(frame.payload).string(4096)) }
  return undefined
}

export function encodeToProgram(message: ToProgram): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'tls') fields.string(fromText(message.certificatePem)).string(fromText(message.keyPem))
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeToProgram(frame: Frame): ToProgram | undefined {
  switch (frame.type) {
    case type.stop:
      return { kind: 'stop' }
    case type.reload:
      return { kind: 'reload' }
    case type.tls: {
      const fields = new FieldReader(frame.payload)
      const message = {
        kind: 'tls',
        certificatePem: toText(fields.string(pemBytesMax)),
        keyPem: toText(fields.string(pemBytesMax)),
      } as const
      fields.end()
      return message
    }
    default:
      return undefined
  }
}
