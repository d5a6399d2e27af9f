/** An aggregate report as XML, in the order of RFC 9990 (appendix A). */
import type { Policy } from './record.ts'

export const overrideReasons = [
  'local_policy',
  'mailing_list',
  'other',
  'policy_test_mode',
  'trusted_forwarder',
] as const
export type OverrideReason = (typeof overrideReasons)[number]

/** What a record asks for, as far as a report repeats it. */
export interface PublishedPolicy {
  /** Where it stands. */
  readonly domain: string
  readonly policy: Policy
  readonly subdomains: Policy | undefined
  readonly absent: Policy | undefined
  readonly isDkimStrict: boolean
  readonly isSpfStrict: boolean
  readonly isTest: boolean
}

/** Messages that agree in all that is here. */
export interface EvaluatedRow {
  readonly ip: string
  readonly disposition: 'none' | 'pass' | 'quarantine' | 'reject'
  readonly dkim: boolean
  readonly spf: boolean
  readonly reasons: readonly OverrideReason[]
  /** Domains; the second is empty for bounces. */
  readonly from: string
  readonly sender: string
  readonly signatures: readonly { readonly domain: string; readonly selector: string; readonly result: string }[]
  /** Undefined: it was not evaluated. */
  readonly spfResult: { readonly domain: string; readonly result: string } | undefined
}

export interface ReportFacts {
  /** The reporter's domain name and address. */
  readonly organization: string
  readonly contact: string
  readonly id: string
  /** Seconds since 1970. */
  readonly begin: number
  readonly end: number
  /** Why something could not be reported; in our words. */
  readonly errors: readonly string[]
  readonly published: PublishedPolicy
}

/** In pieces: a report may be long. `rows` with the number of messages of each. */
export function* writeReport(
  facts: ReportFacts,
  rows: Iterable<readonly [row: EvaluatedRow, messages: number]>,
): Generator<string> {
  const { domain, policy, subdomains, absent, isDkimStrict, isSpfStrict, isTest } = facts.published
  yield '<?xml version="1.0" encoding="UTF-8"?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">\n'
  yield element('version', '1.0')
  yield group('report_metadata', [
    element('org_name', facts.organization),
    element('email', facts.contact),
    element('report_id', facts.id),
    group('date_range', [element('begin', String(facts.begin)), element('end', String(facts.end))]),
    ...facts.errors.map((error) => element('error', error)),
    element('generator', 'Quaver'),
  ])
  yield group('policy_published', [
    element('domain', domain),
    element('discovery_method', 'treewalk'),
    element('p', policy),
    ...optional('sp', subdomains),
    ...optional('np', absent),
    element('adkim', isDkimStrict ? 's' : 'r'),
    element('aspf', isSpfStrict ? 's' : 'r'),
    element('testing', isTest ? 'y' : 'n'),
  ])
  for (const [row, messages] of rows) yield record(row, messages)
  yield '</feedback>\n'
}

function record(row: EvaluatedRow, messages: number): string {
  const { spfResult } = row
  return group('record', [
    group('row', [
      element('source_ip', row.ip),
      element('count', String(messages)),
      group('policy_evaluated', [
        element('disposition', row.disposition),
        element('dkim', row.dkim ? 'pass' : 'fail'),
        element('spf', row.spf ? 'pass' : 'fail'),
        ...row.reasons.map((reason) => group('reason', [element('type', reason)])),
      ]),
    ]),
    group('identifiers', [element('header_from', row.from), ...optional('envelope_from', row.sender || undefined)]),
    group('auth_results', [
      ...row.signatures.map(({ domain, selector, result }) =>
        group('dkim', [element('domain', domain), element('selector', selector), element('result', result)]),
      ),
      ...(spfResult === undefined
        ? []
        : [
            group('spf', [
              element('domain', spfResult.domain),
              element('scope', 'mfrom'),
              element('result', spfResult.result),
            ]),
          ]),
    ]),
  ])
}

function group(name: string, parts: readonly string[]): string {
  return `<${name}>\n${parts.join('')}</${name}>\n`
}

function optional(name: string, text: string | undefined): string[] {
  return text === undefined ? [] : [element(name, text)]
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&apos;'],
])

function element(name: string, text: string): string {
  // All bytes but printable ASCII: they mean nothing in these DNS names, and some are no characters of XML 1.0.
  const clean = text.replace(/[^ -~]/g, '?').replace(/[&<>"']/g, (character) => escapes.get(character) ?? '')
  return `<${name}>${clean}</${name}>\n`
}
