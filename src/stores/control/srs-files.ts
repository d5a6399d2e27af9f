/** Control files of SRS, under qmail-srs's names: rows of table.ts. */
import type { ControlFile } from './form.ts'
import { isDomain, isOf } from './line-checks.ts'

export const srsFiles = {
  srs_domain: {
    form: 'line',
    meaning:
      'domain of ours in which senders of forwards are rewritten (SRS), so that SPF holds; absent = they stay as they are',
    readBy: ['queue', 'smtpd'],
    reread: 'live',
    check: isDomain,
  },
  srs_secrets: {
    form: 'list',
    meaning: 'secrets of SRS: the first makes addresses, all are good for those that come back',
    readBy: ['queue'],
    reread: 'live',
    secret: true,
  },
  srs_maxage: {
    form: 'number',
    fallback: 21,
    meaning: 'days for which an SRS address takes bounces',
    readBy: ['queue'],
    reread: 'live',
    least: 1,
    most: 1000,
  },
  srs_hashlength: {
    form: 'number',
    fallback: 4,
    meaning: 'characters of the digest in an SRS address',
    readBy: ['queue'],
    reread: 'live',
    least: 4,
    most: 27,
  },
  srs_hashmin: {
    form: 'number',
    fallback: 4,
    meaning: 'characters that the digest of an SRS address must have when it comes back',
    readBy: ['queue'],
    reread: 'live',
    least: 4,
    most: 27,
  },
  srs_separator: {
    form: 'line',
    fallback: '=',
    meaning: 'what stands behind SRS0 and SRS1: =, - or +',
    readBy: ['queue'],
    reread: 'live',
    check: isOf('=, - or +', (line) => /^[=+-]$/.test(line)),
  },
  srs_alwaysrewrite: {
    form: 'number',
    fallback: 0,
    meaning: '1: senders in domains of ours are rewritten too',
    readBy: ['queue'],
    reread: 'live',
    most: 1,
  },
} as const satisfies Record<string, ControlFile>
