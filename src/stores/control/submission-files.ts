/** The control files of submission: what a person's mail program sends, before it is queued. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseRewriting } from '../../protocols/submission/rewriting.ts'
import type { ControlFile } from './form.ts'
import { isHost, isOf, isSenderRight, runs } from './line-checks.ts'

export const submissionFiles = {
  rewrite: {
    form: 'list',
    meaning:
      'how hosts in addresses are completed: =post:new, *post:new, ?post:new, -post:new; absent = by the next three',
    readBy: ['local'],
    reread: 'live',
    check: isOf('=post:new, *post:new, ?post:new or -post:new', (line: ByteString) => parseRewriting(line).valid),
  },
  defaulthost: {
    form: 'line',
    fallback: 'me',
    meaning: 'host of an address that has none',
    readBy: ['local'],
    reread: 'live',
    check: isHost,
  },
  defaultdomain: {
    form: 'line',
    fallback: 'me',
    meaning: 'added to a host without a dot',
    readBy: ['local'],
    reread: 'live',
    check: isHost,
  },
  plusdomain: {
    form: 'line',
    fallback: 'me',
    meaning: 'replaces the + at the end of a host',
    readBy: ['local'],
    reread: 'live',
    check: isHost,
  },
  idhost: {
    form: 'line',
    fallback: 'me',
    meaning: 'host in the Message-ID of a message that came without one',
    readBy: ['local'],
    reread: 'live',
    check: isHost,
  },
  ofmipfilters: {
    form: 'list',
    meaning: 'filter programs that submitted mail passes, in order, run as the one who sends',
    readBy: ['local'],
    reread: 'live',
    check: runs('submission filter'),
  },
  senders: {
    form: 'map',
    meaning: 'account:address,@domain,… that the account may send as, besides its own addresses',
    readBy: ['local'],
    reread: 'live',
    check: isSenderRight,
    joinsRepeats: true,
  },
  submissionmessages: {
    form: 'number',
    fallback: 300,
    meaning: 'messages that one account may send in an hour; 0 = no limit',
    readBy: ['local'],
    reread: 'live',
  },
  submissionrecipients: {
    form: 'number',
    fallback: 3000,
    meaning: 'recipients that one account may send to in an hour; 0 = no limit',
    readBy: ['local'],
    reread: 'live',
  },
  submissionreceivedip: {
    form: 'number',
    fallback: 0,
    meaning: '1 = the address of the client stands in the Received field of submitted mail',
    readBy: ['local'],
    reread: 'live',
    most: 1,
  },
} as const satisfies Record<string, ControlFile>
