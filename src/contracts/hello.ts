/** The first frame on every connection between our programs: which contract, which version.
 *  A program that does not know the version closes the connection and says so in its log. */
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import { FieldReader, FieldWriter } from './fields.ts'

export const contractVersion = 2
export const helloType = 1

/** What a connection is for. The socket's owner and mode decide which program may open it, never this name. */
export type Purpose =
  | 'enqueue'
  | 'execute'
  | 'remote'
  | 'lspawn'
  | 'local'
  | 'descriptors'
  | 'fetch'
  | 'admin'
  | 'policy'
  | 'recipients'
  | 'auth'
  | 'tickets'
  | 'login'
  | 'session'
  | 'signing'
  | 'certificates'
const purposes: readonly Purpose[] = [
  'enqueue',
  'execute',
  'remote',
  'lspawn',
  'local',
  'descriptors',
  'fetch',
  'admin',
  'policy',
  'recipients',
  'auth',
  'tickets',
  'login',
  'session',
  'signing',
  'certificates',
]

export interface Hello {
  readonly purpose: Purpose
  /** `local` and `descriptors` only, and only believed from lspawn's socket: the uid for whom the connection was opened. */
  readonly uid: number
  /** `local` and `descriptors`: the same on both connections of one process. 0 or absent: it has only one. */
  readonly pair?: number
}

export function encodeHello(hello: Hello): Buffer {
  const fields = new FieldWriter()
    .u16(contractVersion)
    .u32(hello.uid)
    .u32(hello.pair ?? 0)
    .string(hello.purpose)
    .end()
  return encodeFrame(helloType, ...fields)
}

export function decodeHello(frame: Frame): Required<Hello> {
  if (frame.type !== helloType) throw new ContractError(`frame type ${frame.type} before hello`)
  const fields = new FieldReader(frame.payload)
  const version = fields.u16()
  if (version !== contractVersion) throw new ContractError(`contract version ${version}, ours is ${contractVersion}`)
  const uid = fields.u32()
  const pair = fields.u32()
  const name = fields.string(16)
  fields.end()
  const purpose = purposes.find((known) => known === name)
  if (purpose === undefined) throw new ContractError(`unknown purpose ${JSON.stringify(name)}`)
  return { purpose, uid, pair }
}
