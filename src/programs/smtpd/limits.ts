/** Every limit and deadline of the SMTP server but `databytes` and `timeoutsmtpd`, which are control files. */
import { doorLimits } from '../../servers/door/limits.ts'
import { smtpLimits } from '../../servers/smtp/limits.ts'

export const limits = { ...doorLimits, ...smtpLimits } as const

export type Limits = { readonly [Name in keyof typeof limits]: number }
