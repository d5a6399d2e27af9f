/** Finds the aggregate report in a mail, or in what was saved of one, and reads it.
 *  Fails:  throws ReportError, which says why there is none. */
import { describeError } from '../../base/outcome.ts'
import type { AggregateReport } from '../../protocols/dmarc/aggregate-report.ts'
import { ReportReader } from '../../protocols/dmarc/report-reader.ts'
import { packed } from '../../protocols/reports/archive.ts'
import { mailParts } from '../../protocols/reports/mail-parts.ts'
import { ReportError } from '../../protocols/reports/report-error.ts'
import { unpacked, UnpackError } from '../../system/unpack.ts'

const partBytesMax: number = 10 * 1024 * 1024
const limits = { bytesMax: 100 * 1024 * 1024, ratioMax: 100 }

export async function reportInMail(message: Uint8Array): Promise<AggregateReport> {
  let trouble: unknown
  for (const part of await mailParts(message)) {
    try {
      return await reportInPart(part)
    } catch (error) {
      if (!(error instanceof ReportError)) throw error
      trouble ??= error
    }
  }
  throw trouble instanceof ReportError ? trouble : new ReportError('there is no report in it')
}

/** XML, plain or packed. */
export async function reportInPart(part: Uint8Array): Promise<AggregateReport> {
  if (part.length > partBytesMax) throw new ReportError(`it is longer than ${partBytesMax} bytes`)
  const reader = new ReportReader()
  try {
    for await (const bytes of unpacked(packed(part), limits)) reader.push(bytes)
  } catch (error) {
    if (error instanceof UnpackError) throw new ReportError(describeError(error))
    throw error
  }
  return reader.end()
}
