import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { codeOf, type Status } from '../../base/outcome.ts'
import type { TransactionEnd, TransactionResult } from './transaction.ts'
import { type ForNow, reportTransaction } from './transaction-report.ts'

const host = { name: 'mx.example', address: '192.0.2.1' }
const lastWord: ForNow = { recipients: [], end: false }
const reply = (text: string) => ({ code: Number(text.slice(0, 3)), text: `${text}\n` })
const accepted: TransactionEnd = { kind: 'accepted', reply: reply('250 2.0.0 taken') }

function statusesOf(result: TransactionResult, forNow = lastWord): readonly Status[] {
  return reportTransaction(host, result, forNow).recipients
}

describe('the status of a recipient', () => {
  it('has class, subject and detail of the reply, and keeps host, code and lines', () => {
    const lines = '550-5.1.1 nobody\n550 5.1.1 of that name'
    const recipients = [reply('250 ok'), reply(lines), reply('450 later'), reply('452 4.2.2 full')]
    const [taken, nobody, later, full] = statusesOf({ recipients, end: accepted })
    assert.deepEqual(
      [taken, nobody, later, full].map((one) => one && codeOf(one)),
      ['2.0.0', '5.1.1', '4.0.0', '4.2.2'],
    )
    assert.deepEqual(nobody?.answer, { ...host, code: 550, lines: `${lines}\n` })
    assert.equal(nobody?.peerText, `192.0.2.1 does not like recipient.\nRemote host said: ${lines}\n`)
  })

  it('is temporary where the refusal may be of our use of the host, and still has the code that was said', () => {
    const recipients = [reply('250 ok'), reply('552 too many recipients')]
    const [, surplus] = statusesOf({ recipients, end: accepted }, { recipients: [1], end: true })
    assert.deepEqual([surplus?.class, surplus?.answer?.code], [4, 552])
  })

  it('names the host that said nothing', () => {
    const { end } = reportTransaction(host, { recipients: [], end: { kind: 'died', afterDot: true } }, lastWord)
    assert.deepEqual([codeOf(end), end.answer], ['4.4.2', { ...host, code: 0, lines: '' }])
  })

  it('has the class of the greater trouble, as qmail-rspawn has it', () => {
    const end: TransactionEnd = { kind: 'refused', command: 'DATA', reply: reply('451 not now') }
    const [taken, refused] = statusesOf({ recipients: [reply('250 ok'), reply('550 no')], end })
    assert.deepEqual([taken?.class, refused?.class], [4, 5])
    assert.equal(refused?.peerText.includes('DATA'), false)
  })
})
