import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bounceParagraph } from './bounce.ts'
import {
  formatChannel,
  formatInfo,
  invokerOf,
  parseBounceTexts,
  parseChannel,
  parseInfo,
  parseQueuedEnvelope,
} from './queue-files.ts'

describe('the files of a qmail’s queue', () => {
  it('todo says who, from whom and to whom; records end in NUL and nowhere else', () => {
    assert.deepEqual(parseQueuedEnvelope('u5001\0p17\0Fjoe@a.example\0Tx\n"y"@b\0T\0'), {
      uid: 5001,
      sender: 'joe@a.example',
      recipients: ['x\n"y"@b', ''],
    })
    assert.deepEqual(parseQueuedEnvelope('F\0u7\0'), { uid: 7, sender: '', recipients: [] })
    assert.equal(parseQueuedEnvelope('u5001\0p17\0Fjoe\0Tx@b'), 'ends in the middle of a record')
    assert.equal(parseQueuedEnvelope('u5001\0p17\0'), 'says no sender')
    assert.equal(parseQueuedEnvelope('Fa\0Xb\0'), 'has a record of an unknown kind ("X")')
  })

  it('info is a sender, or nothing yet', () => {
    assert.deepEqual(parseInfo(formatInfo('#@[]')), { sender: '#@[]' })
    assert.equal(parseInfo(''), 'is empty')
    assert.equal(parseInfo('Fjo'), 'ends in the middle of a record')
    assert.equal(parseInfo('Tjoe\0'), 'has a record of an unknown kind ("T")')
  })

  it('a channel says of each who is done; what is cut off is told apart', () => {
    const text = 'Da@x\0Tb@x\0Ta@x\0'
    const { recipients, fault } = parseChannel(text)
    assert.equal(formatChannel(recipients), text)
    assert.equal(fault, undefined)
    assert.deepEqual(parseChannel('Da@x\0Tb@'), {
      recipients: [{ isDone: true, address: 'a@x' }],
      fault: 'ends in the middle of a record',
    })
    assert.equal(parseChannel('Da@x\0?b\0Tc\0').recipients.length, 2)
  })

  it('each paragraph of a bounce becomes the same bytes again', () => {
    const reports = ['', 'no\n', 'no', 'two\nlines\n', '\nodd\n\nblank\n\n', 'ends twice\n\n', '<not@one>:\nof them\n']
    const paragraphs = reports.map((report, index) => bounceParagraph(`r${index}@x.example`, report))
    const texts = parseBounceTexts(paragraphs.join(''))
    assert.deepEqual(
      texts.map(({ shown }) => shown),
      reports.map((_, index) => `r${index}@x.example`),
    )
    assert.equal(texts.map(({ shown, report }) => bounceParagraph(shown, report)).join(''), paragraphs.join(''))
  })

  it('a bounce that is cut off, or begins anyhow, loses nothing', () => {
    assert.deepEqual(parseBounceTexts('<a@x>:\nno such'), [{ shown: 'a@x', report: 'no such' }])
    assert.deepEqual(parseBounceTexts('junk\n\n<a@x>:\nno\n\n'), [
      { shown: '', report: 'junk\n' },
      { shown: 'a@x', report: 'no\n' },
    ])
    assert.deepEqual(
      parseBounceTexts('\n'),
      [{ shown: '', report: '' }].map((one) => ({ ...one, report: '\n' })),
    )
  })

  it('the line on top says who handed it in', () => {
    const line = (how: string): string => `Received: (qmail 7 invoked ${how}); 1 Dec 2026 00:00:00 -0000`
    assert.equal(invokerOf(line('by uid 5001')), 5001)
    assert.equal(invokerOf(line('from network')), 'network')
    assert.equal(invokerOf(line('by alias')), 'alias')
    assert.equal(invokerOf(line('for bounce')), 'bounce')
    assert.equal(invokerOf('Received: from x by y'), undefined)
  })
})
