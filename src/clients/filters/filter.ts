/** One filter program of a chain (qmail-qfilter's interface): descriptors 0 message in, 1 message out, 3 envelope in,
 *  4 envelope out, 5 the name of another queue program, 6 a custom error. An empty file on 1 or 4 means unchanged.
 *  Knows:  which file is on which descriptor, what an exit means. Never: what is in a message.
 *  Fails:  with qmail-queue's texts. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { done, type Failure, failed, type Outcome } from '../../base/outcome.ts'
import { decodeEnvelope, encodeEnvelope, type Envelope, envelopeBytesMax } from '../../contracts/envelope.ts'
import type { Variables } from '../../contracts/execute.ts'
import { customErrorBytesMax, programTimeout, queueExitFailure } from '../../protocols/qmail/queue-exit.ts'
import type { Random } from '../../system/random.ts'
import { Spool } from '../../system/spool.ts'
import type { Ended, Launcher } from '../../system/launcher.ts'

const discardCode = 99
const tempRejectCode = 71
const badEnvelopeCode = 91
const notRunCode = 120
const programNameBytesMax = 4096
/** One variable cannot be longer than 128 KiB on Linux; a filter that needs more reads descriptor 3. */
const recipientsBytesMax: number = 120 * 1024

export interface FilterResult {
  readonly discard: boolean
  /** Undefined: unchanged. The caller closes it. */
  readonly message: Spool | undefined
  readonly envelope: Envelope
  /** Empty: not named. */
  readonly queueProgram: ByteString
}

export interface FilterInput {
  readonly filter: ByteString
  /** Read from its start: its descriptor has not been used by another program. */
  readonly message: Spool
  readonly envelope: Envelope
  readonly environment: Variables
  readonly millisecondsMax: number
}

export async function runFilter(
  launcher: Launcher,
  random: Random,
  input: FilterInput,
): Promise<Outcome<FilterResult>> {
  const spools: Spool[] = []
  const spool = (content: Buffer = nothing): Spool => {
    const made = new Spool(random)
    spools.push(made)
    made.append(content)
    return made
  }
  let kept: Spool | undefined
  try {
    const [messageOut, envelopeIn, envelopeOut, named] = [
      spool(),
      spool(encodeEnvelope(input.envelope)),
      spool(),
      spool(),
    ]
    let customError = ''
    const ended = await launcher.run({
      kind: 'path',
      program: input.filter,
      args: [],
      environment: filterEnvironment(input, envelopeIn.bytes),
      millisecondsMax: input.millisecondsMax,
      stdin: input.message.fd,
      stdout: messageOut.fd,
      more: [
        envelopeIn.fd,
        envelopeOut.fd,
        named.fd,
        (bytes) => {
          customError += fromBuffer(bytes.subarray(0, customErrorBytesMax - customError.length))
        },
      ],
      onStart: () => undefined,
    })
    if (ended.how === 'exit' && ended.code === discardCode) return done({ ...unchanged(input), discard: true })
    const failure = failureOf(ended, customError)
    if (failure !== undefined) return failed({ ...failure, logText: `${input.filter}: ${saying(ended, failure)}` })
    for (const file of [messageOut, envelopeOut, named]) file.measure()
    const written = envelopeOut.bytes === 0 ? input.envelope : newEnvelope(envelopeOut)
    if (written === undefined) {
      const text = `${input.filter}: wrote a malformed envelope`
      return failed({ ...meaningOf(badEnvelopeCode), logText: text })
    }
    if (messageOut.bytes > 0) kept = messageOut
    // Recipients that are still there keep their parameters and original addresses.
    const { recipientParams, originals } = input.envelope
    const envelope = { ...written, recipientParams, originals }
    return done({ discard: false, message: kept, envelope, queueProgram: firstLine(named) })
  } finally {
    for (const made of spools) if (made !== kept) made.close()
  }
}

const nothing = Buffer.alloc(0)

function unchanged({ envelope }: FilterInput): FilterResult {
  return { discard: false, message: undefined, envelope, queueProgram: '' }
}

/** Undefined: it has taken the message. */
export function failureOf(ended: Ended, customError: ByteString): Failure | undefined {
  switch (ended.how) {
    case 'exit':
      return queueExitFailure({ code: ended.code, customError, writeFailed: false })
    case 'deadline':
      return programTimeout
    case 'busy':
      return meaningOf(tempRejectCode)
    case 'not-run':
      return meaningOf(notRunCode)
    case 'signal':
    case 'output':
      return queueExitFailure({ code: undefined, customError: '', writeFailed: false })
  }
}

function meaningOf(code: number): Failure {
  const failure = queueExitFailure({ code, customError: '', writeFailed: false })
  return failure ?? programTimeout
}

export function saying(ended: Ended, failure: Failure): string {
  return `${ended.how} ${ended.how === 'exit' ? ended.code : ended.detail}: ${failure.logText}`
}

function filterEnvironment({ environment, message, envelope }: FilterInput, envelopeBytes: number): Variables {
  const variables = new Map(environment)
  const at = envelope.sender.lastIndexOf('@')
  variables.set('QMAILUSER', at < 0 ? envelope.sender : envelope.sender.slice(0, at))
  variables.set('QMAILHOST', at < 0 ? '' : envelope.sender.slice(at + 1))
  const recipients = envelope.recipients.map((recipient) => `${recipient}\n`).join('')
  if (recipients.length <= recipientsBytesMax) variables.set('QMAILRCPTS', recipients)
  variables.set('ENVSIZE', String(envelopeBytes))
  variables.set('MSGSIZE', String(message.bytes))
  variables.set('NUMRCPTS', String(envelope.recipients.length))
  return variables
}

function newEnvelope(spool: Spool): Envelope | undefined {
  if (spool.bytes > envelopeBytesMax) return undefined
  try {
    return decodeEnvelope(Buffer.concat([...spool.chunks()]))
  } catch {
    return undefined
  }
}

function firstLine(spool: Spool): ByteString {
  const [chunk = nothing] = spool.chunks()
  return fromBuffer(chunk.subarray(0, programNameBytesMax)).split(/[\n\0]/)[0] ?? ''
}
