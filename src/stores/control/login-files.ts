/** Control files of the fronts with logins (submission and POP3), of the sessions behind them, and of authd: rows of
 *  table.ts. */
import type { ByteString } from '../../base/byte-string.ts'
import { type LoginService, loginServices, services, titleOf } from '../../contracts/services.ts'
import { issuerForm, parseIssuer } from '../../protocols/oauth/issuers.ts'
import { mechanisms, readMechanism, usualMechanisms } from '../../protocols/sasl/mechanisms.ts'
import type { ControlFile } from './form.ts'
import { isCapability, isGreeting, isOf, runs } from './line-checks.ts'

/** How many connections each service takes. */
type ConcurrencyFiles = {
  readonly [Service in LoginService as `concurrency${Service}`]: ControlFile & {
    readonly form: 'number'
    readonly fallback: number
  }
}

const concurrencyFiles = Object.fromEntries(
  loginServices.map((service) => [
    `concurrency${service}`,
    {
      form: 'number',
      fallback: 500,
      unit: 'connections',
      meaning: `${titleOf(service)} connections at once, on all its ports; those from this host are not counted`,
      readBy: [services[service].program],
      reread: 'start',
    } satisfies ControlFile,
  ]),
) as object as ConcurrencyFiles

export const loginFiles = {
  ...concurrencyFiles,
  checkpassword: {
    form: 'line',
    meaning:
      'program and arguments that check a name and a password for a login, as qmail’s checkpassword; absent = none',
    readBy: ['lspawn', 'authd'],
    reread: 'live',
    check: runs('password checker'),
  },
  saslmechanisms: {
    form: 'list',
    meaning: `how people may log in, one a line, in the order in which it is offered; absent = ${usualMechanisms.join(' ')}, empty = nobody logs in`,
    readBy: ['authd'],
    reread: 'live',
    check: isOf(mechanisms.join(' or '), (line: ByteString) => readMechanism(line) !== undefined),
  },
  oauthissuers: {
    form: 'list',
    meaning: 'who may say by a token who somebody is: https URL of the issuer, audience, claim that holds the address',
    readBy: ['issuers', 'authd'],
    reread: 'live',
    check: isOf(issuerForm, (line: ByteString) => parseIssuer(line) !== undefined),
  },
  pop3capabilities: {
    form: 'list',
    meaning: 'more lines for POP3’s CAPA',
    readBy: ['pop3d'],
    reread: 'live',
    check: isCapability,
  },
  pop3greeting: {
    form: 'line',
    fallback: 'me',
    meaning: 'host name in POP3’s greeting',
    readBy: ['pop3d'],
    reread: 'live',
    check: isGreeting,
  },
  smtpcapabilities: {
    form: 'list',
    meaning: 'what submission offers in EHLO before a login, beside STARTTLS and AUTH; absent = what it can',
    readBy: ['ofmipd'],
    reread: 'live',
    check: isCapability,
  },
  timeoutpop3d: {
    form: 'number',
    fallback: 600,
    unit: 'seconds',
    meaning: 'limit on waiting for a command of a POP3 client',
    readBy: ['local'],
    reread: 'start',
    least: 1,
  },
} as const satisfies Record<string, ControlFile>
