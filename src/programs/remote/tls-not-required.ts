/** Does a message ask to be sent in spite of published TLS policies (RFC 8689 §5), as reports of TLS trouble do? Read only if
 *  such a policy holds the message back. */
import type { ByteString } from '../../base/byte-string.ts'
import { ContentError, type OpenContent } from '../../clients/smtp/transaction.ts'
import { headerFields, valueOf } from '../../protocols/dkim/header-fields.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'

/** A field further down is ignored. */
const headerBytesMax: number = 128 * 1024

/** Also false if the content cannot be read now. */
export async function saysTlsNotRequired(content: OpenContent): Promise<boolean> {
  let header: ByteString | undefined
  const message = new HeaderAndBody({
    header: (text) => {
      header = text
    },
    body: () => undefined,
  })
  try {
    for await (const chunk of content()) {
      message.push(Buffer.from(chunk))
      if (header !== undefined || (message.headerBytes ?? 0) > headerBytesMax) break
    }
  } catch (error) {
    if (error instanceof ContentError) return false
    throw error
  }
  message.end()
  const fields = headerFields(header ?? '').filter(({ name }) => name === 'tls-required')
  const [field] = fields
  return field !== undefined && fields.length === 1 && valueOf(field).trim().toLowerCase() === 'no'
}
