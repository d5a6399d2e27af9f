/** Settings of the reports that we owe, from control files. */
import { lowerAscii } from '../../base/byte-string.ts'
import { signingRuleFor } from '../../protocols/dkim/signing-rules.ts'
import { domainOf } from '../../protocols/reports/plain-address.ts'
import type { Control } from '../../stores/control/control.ts'
import { reportAddress } from '../../stores/control/report-address.ts'
import type { Home } from '../../stores/home/layout.ts'
import { readReportMode, type ReportSettings } from './report-sender.ts'

export function readReportSettings(home: Pick<Home, 'alias'>, control: Control): ReportSettings {
  const skipped = (control.list('dmarcreportskip') ?? []).map((line) => lowerAscii(line))
  return {
    mode: readReportMode(control.line('dmarcreports')),
    from: senderOf(home, control),
    skipped: new Set(skipped),
  }
}

/** Receivers believe a report only if it passes DMARC itself, and may answer it. */
function senderOf(home: Pick<Home, 'alias'>, control: Control): ReportSettings['from'] {
  const address = reportAddress(home, control)
  if (address === undefined)
    return { why: 'there is no address for answers: control/reportaddress names one that takes mail' }
  const domain = domainOf(address)
  if (signingRuleFor(domain, control.map('dkimdomains')) === undefined)
    return { why: `mail from ${domain} is not signed: 'quaver dkim keygen ${domain}' first` }
  return { address }
}
