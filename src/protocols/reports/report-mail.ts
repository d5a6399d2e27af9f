/** A mail that carries a report for machines: a text for people, and the report, compressed, as the second part.
 *  Aggregate reports of DMARC (RFC 9990 §3.5) and of TLS (RFC 8460 §5.3) are sent so.
 *  Never:  a line that a signer or a relay would have to change: ASCII, short lines. */
import type { ByteString } from '../../base/byte-string.ts'

export interface ReportMail {
  /** ASCII, without CR and LF. */
  readonly from: ByteString
  readonly to: ByteString
  readonly subject: string
  readonly date: string
  /** Without angle brackets. */
  readonly messageId: string
  /** Further fields: name and value. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Of `multipart/report` (RFC 6522); undefined: `multipart/mixed`. */
  readonly reportType: string | undefined
  /** In ASCII; lines ended by LF. */
  readonly text: string
  readonly part: {
    readonly mediaType: string
    readonly fileName: string
    /** The compressed report in base64, without line ends. */
    readonly base64: string
  }
}

const base64LineBytes = 76

/** The whole message, lines ended by LF. */
export function formatReportMail(mail: ReportMail): ByteString {
  // Of random letters, and with `=_`, which neither base64 nor our text can hold.
  const boundary = `=_${mail.messageId.replace(/[^0-9A-Za-z]/g, '').slice(0, 40)}`
  const kind =
    mail.reportType === undefined ? 'multipart/mixed' : `multipart/report; report-type=${quoted(mail.reportType)}`
  const { mediaType, fileName, base64 } = mail.part
  const lines = [
    `From: <${oneLine(mail.from)}>`,
    `To: <${oneLine(mail.to)}>`,
    ...folded('Subject', mail.subject),
    `Date: ${oneLine(mail.date)}`,
    `Message-ID: <${oneLine(mail.messageId)}>`,
    'Auto-Submitted: auto-generated',
    'Precedence: bulk',
    ...mail.fields.map(([name, value]) => `${name}: ${oneLine(value)}`),
    'MIME-Version: 1.0',
    `Content-Type: ${kind};`,
    ` boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    mail.text.trimEnd(),
    '',
    `--${boundary}`,
    `Content-Type: ${mediaType};`,
    ` name=${quoted(fileName)}`,
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment;',
    ` filename=${quoted(fileName)}`,
    '',
    ...(base64.match(new RegExp(`.{1,${base64LineBytes}}`, 'g')) ?? []),
    `--${boundary}--`,
    '',
  ]
  return lines.join('\n')
}

/** At blanks, so that no line is longer than it should be (RFC 5322 §2.1.1) if the words are not. */
function folded(name: string, value: string): string[] {
  const lines: string[] = []
  let line = `${name}:`
  for (const word of oneLine(value).split(' ')) {
    if (line.length + 1 + word.length > 78 && line.trim() !== `${name}:`) {
      lines.push(line)
      line = ''
    }
    line += ` ${word}`
  }
  return [...lines, line]
}

function quoted(text: string): string {
  return `"${oneLine(text).replace(/["\\]/g, '\\$&')}"`
}

/** What would begin another line, or is not ASCII, becomes `?`. */
function oneLine(text: string): string {
  return text.replace(/[^ -~]/g, '?')
}
