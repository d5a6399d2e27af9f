/** The rows of the table that are about DNS lists of addresses. */
import type { ByteString } from '../../base/byte-string.ts'
import { dnsListForm, parseDnsList } from '../../protocols/dnsbl/dnsbl.ts'
import type { ControlFile } from './form.ts'
import { isFieldName, isOf } from './line-checks.ts'

export const dnsListFiles = {
  dnsbls: {
    form: 'list',
    meaning:
      'DNS lists asked about each client, in order: zone (451), -zone (553), +zone (allows), ?zone (marks), zone=N (scores); absent = zen.spamhaus.org, empty = none',
    readBy: ['smtpd'],
    reread: 'live',
    check: isOf(dnsListForm, (line: ByteString) => parseDnsList(line) !== undefined),
  },
  dnsblheader: {
    form: 'line',
    meaning: 'name of the header field that says which lists marked a client and its score; absent = none is written',
    readBy: ['smtpd'],
    reread: 'live',
    check: isFieldName,
    mayBeEmpty: true,
  },
  dnsblscore: {
    form: 'number',
    fallback: 0,
    meaning: 'sum of zone=N lines of dnsbls from which a client is refused (451); 0 = never',
    readBy: ['smtpd'],
    reread: 'live',
  },
} as const satisfies Record<string, ControlFile>
