/** Whether a message is a report for machines, or a machine's answer. Such are not reported on: two reporters would never end. */
import type { HeaderField } from '../dkim/header-fields.ts'
import { valueOf } from '../dkim/header-fields.ts'

export function isReport(fields: readonly HeaderField[]): boolean {
  return fields.some((field) => {
    const value = valueOf(field).trim().toLowerCase()
    switch (field.name) {
      case 'auto-submitted':
        return value !== 'no'
      case 'content-type':
        return /^multipart\/report\b/.test(value)
      case 'subject':
        return /^report[ -]domain:/.test(value)
      case 'tls-report-domain':
        return true
      default:
        return false
    }
  })
}
