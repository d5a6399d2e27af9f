/** The program that takes a message in place of our queue, after the filters (QMAILQUEUE's interface): descriptor 0 message,
 *  1 envelope, 6 (or 4) a custom error. Run as a filter is: what it gets are files, its descriptor 2 is the log.
 *  Fails:  with qmail-queue's texts; one that takes too long is killed with all it started, and may have queued or not. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { done, failed, type Outcome } from '../../base/outcome.ts'
import { encodeEnvelope } from '../../contracts/envelope.ts'
import { customErrorBytesMax, customErrorFds } from '../../protocols/qmail/queue-exit.ts'
import type { Launcher } from '../../system/launcher.ts'
import type { Random } from '../../system/random.ts'
import { Spool } from '../../system/spool.ts'
import { failureOf, type FilterInput, saying } from './filter.ts'

export async function runQueueProgram(
  launcher: Launcher,
  random: Random,
  { filter: program, message, envelope, environment, millisecondsMax }: FilterInput,
): Promise<Outcome<number>> {
  const envelopeIn = new Spool(random)
  try {
    envelopeIn.append(encodeEnvelope(envelope))
    const customErrors = new Map<number, ByteString>()
    const collect =
      (fd: number) =>
      (bytes: Buffer): void => {
        const before = customErrors.get(fd) ?? ''
        customErrors.set(fd, before + fromBuffer(bytes.subarray(0, customErrorBytesMax - before.length)))
      }
    let pid = 0
    const ended = await launcher.run({
      kind: 'path',
      program,
      args: [],
      environment,
      millisecondsMax,
      stdin: message.fd,
      stdout: envelopeIn.fd,
      more: [null, collect(4), null, collect(6)],
      onStart: (process) => {
        pid = process.pid
      },
    })
    const failure = failureOf(
      ended,
      customErrorFds.map((fd) => customErrors.get(fd) ?? '').find((text) => text !== '') ?? '',
    )
    return failure === undefined ? done(pid) : failed({ ...failure, logText: `${program}: ${saying(ended, failure)}` })
  } finally {
    envelopeIn.close()
  }
}
