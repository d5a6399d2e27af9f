/** The plug-ins that pkgsrc ships, in process: known by the last part of their path. SPF and greylisting are parameters. */
import type { ByteString } from '../../../base/byte-string.ts'
import { checkReplies } from '../../../protocols/qmail/rcptchecks.ts'
import { checkRecipient, type CheckTools } from './recipient-check.ts'
import type { BuiltIn } from './stage.ts'

export interface BuiltInParts {
  readonly check: CheckTools
  /** qmail-spp-spf; undefined: if it is named, it is executed. */
  readonly spf?: BuiltIn | undefined
  /** greylisting-spp. */
  readonly greylisting?: BuiltIn | undefined
  /** greylisting-spp-wrapper: exemptions first, then greylisting. */
  readonly greylistingWrapper?: BuiltIn | undefined
}

export function builtInPlugIns(parts: BuiltInParts): (name: ByteString) => BuiltIn | undefined {
  const known = new Map<ByteString, BuiltIn | undefined>([
    ['qmail-rcptcheck', recipientCheck(parts.check)],
    ['qmail-spp-spf', parts.spf],
    ['greylisting-spp', parts.greylisting],
    ['greylisting-spp-wrapper', parts.greylistingWrapper],
  ])
  return (name) => known.get(name)
}

/** qmail-rcptcheck, which answers where SMTPRCPTTO is set. A refusal of this recipient, permanent or temporary, does not affect
 *  the others; a check that fails for all recipients ends the session. */
function recipientCheck(tools: CheckTools): BuiltIn {
  return async (environment) => {
    const recipient = environment.get('SMTPRCPTTO')
    if (recipient === undefined) return []
    const sender = environment.get('SMTPMAILFROM') ?? ''
    const answer = await checkRecipient(tools, { program: 'qmail-rcptcheck', sender, recipient, environment })
    tools.tell?.(answer)
    if (answer.verdict === 'accept') return []
    const endsSession = answer.verdict === 'cannot-verify' || answer.verdict === 'cannot-execute'
    return [{ kind: endsSession ? 'refuse-drop' : 'refuse', reply: checkReplies[answer.verdict] }]
  }
}
