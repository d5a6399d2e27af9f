/** Is a message a report for machines, or an answer of one? Nobody reports about such: two reporters would never end. */
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
