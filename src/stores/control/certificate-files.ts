/** Control files of certificates by ACME, and of what is published by HTTPS: rows of table.ts. */
import { toText } from '../../base/byte-string.ts'
import { isHttpsUrl, readBinding } from '../../protocols/acme/objects.ts'
import { policyForm, readPublishedPolicy } from '../../protocols/mta-sts/published-policy.ts'
import type { ControlFile } from './form.ts'
import { isAddressOrDomain, isHost, isOf, runs } from './line-checks.ts'

export const certificateFiles = {
  acme: {
    form: 'line',
    meaning:
      'directory URL of the authority that certifies tls/cert.pem by ACME, whose terms are agreed to by it; absent = none is asked',
    readBy: ['acme', 'start'],
    reread: 'live',
    check: isOf('an https URL, as https://acme-v02.api.letsencrypt.org/directory', (line) => isHttpsUrl(toText(line))),
  },
  acmebinding: {
    form: 'line',
    meaning:
      'key id and key (base64url) of a customer, where the authority makes accounts for customers alone (external account binding)',
    readBy: ['acme'],
    reread: 'live',
    secret: true,
    check: isOf('a key id, a blank and a key in base64url', (line) => readBinding(line) !== undefined),
  },
  acmecontact: {
    form: 'line',
    meaning: 'mail address that a new account at the authority names; absent = none',
    readBy: ['acme'],
    reread: 'live',
    check: isAddressOrDomain,
  },
  acmenames: {
    form: 'list',
    fallback: 'me',
    meaning: 'host names that the certificate is for',
    readBy: ['start'],
    reread: 'live',
    check: isHost,
  },
  acmeprofile: {
    form: 'line',
    meaning: 'kind of certificate, of those that the authority offers; absent = its usual one',
    readBy: ['acme'],
    reread: 'live',
    check: isOf('the name of a profile, as tlsserver', (line) => /^[!-~]{1,64}$/.test(line)),
  },
  acmehook: {
    form: 'line',
    meaning:
      'program and arguments that publish a TXT record (dns-01), run with: present NAME VALUE, and: cleanup NAME VALUE; absent = http-01',
    readBy: ['acme'],
    reread: 'live',
    check: runs('certificate hook'),
  },
  mtasts: {
    form: 'map',
    meaning: `policies of MTA-STS that we publish (RFC 8461), with this host as the first exchanger: ${policyForm}`,
    readBy: ['httpsd', 'start'],
    reread: 'live',
    check: isOf(policyForm, (line) => {
      const colon = line.indexOf(':')
      return colon > 0 && readPublishedPolicy(toText(line.slice(colon + 1))) !== undefined
    }),
  },
  acmeroots: {
    form: 'line',
    meaning:
      'PEM file of the authorities that the directory’s own server is verified by; absent = those of the machine',
    readBy: ['acme'],
    reread: 'live',
    check: isOf('a path, as /etc/ssl/house-ca.pem', (line) => line.startsWith('/')),
  },
} as const satisfies Record<string, ControlFile>
