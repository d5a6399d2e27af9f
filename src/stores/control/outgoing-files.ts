/** Control files that say which addresses are ours, and what to believe of other hosts, for outgoing mail: rows of table.ts. */
import { namesExtensions, noExtensionsForm } from '../../protocols/smtp/unwanted-extensions.ts'
import { isDnsTrust, nobodyTrusted } from './dns-trust.ts'
import type { ControlFile } from './form.ts'
import { isDomainOrSuffix, isOf, isPeer } from './line-checks.ts'

export const outgoingFiles = {
  dnstrust: {
    form: 'list',
    meaning: `name servers that are believed when they say that an answer is verified (DNSSEC, for DANE); absent = those on loopback, ${nobodyTrusted} = nobody`,
    readBy: ['remote', 'quaver'],
    reread: 'start',
    check: isOf(`an address, or ${nobodyTrusted}`, isDnsTrust),
  },
  moreipme: {
    form: 'list',
    meaning: 'addresses and networks that lead to this host though no interface has them, as behind a router',
    readBy: ['smtpd', 'queue', 'remote'],
    reread: 'live',
    check: isPeer,
  },
  noextensions: {
    form: 'list',
    meaning: `SMTP extensions not used with a host that cannot do what it offers: ${noExtensionsForm}; EHLO = HELO at once`,
    readBy: ['remote'],
    reread: 'live',
    check: isOf(noExtensionsForm, namesExtensions),
  },
  notipme: {
    form: 'list',
    meaning: 'addresses and networks that do not lead to this host though an interface has them',
    readBy: ['smtpd', 'queue', 'remote'],
    reread: 'live',
    check: isPeer,
  },
  notlspolicies: {
    form: 'list',
    meaning:
      'domains whose published policies on TLS (MTA-STS, DANE) are not looked at, as theirs are broken; .example.org = all below it',
    readBy: ['remote', 'quaver'],
    reread: 'live',
    check: isDomainOrSuffix,
  },
} as const satisfies Record<string, ControlFile>
