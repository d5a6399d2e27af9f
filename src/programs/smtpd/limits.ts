/** Every limit and deadline of the SMTP server but `databytes` and `timeoutsmtpd`, which are control files. */
import { listenerLimits } from '../../servers/listener/limits.ts'
import { smtpLimits } from '../../servers/smtp/limits.ts'

export const limits = { ...listenerLimits, ...smtpLimits } as const

export type Limits = { readonly [Name in keyof typeof limits]: number }
