/** What a mail program signed is signed still when it arrives. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { SubmissionRig } from '../kit/submission.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const record = `v=DKIM1; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`

const key = {
  signingDomain: 'lab.example',
  selector: 's',
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
}

describe('a signature that a mail program made', () => {
  const rig = new SubmissionRig()
  before(() => rig.start())
  after(() => rig.stop())

  for (const canonicalization of ['simple/simple', 'relaxed/relaxed'])
    for (const [name, fields] of [
      ['usual fields', ['Date: Thu, 26 Nov 2026 21:52:33 +0100 (CET)', 'Subject: x  y']],
      ['names in quotes and encoded', ['To: "Doe, J." <j@b.example>,', '\t=?utf-8?Q?R=C3=B6=2C_x?= <r@b.example>']],
      [
        'repeated and folded fields',
        ['Cc: a@b.example', 'CC:', ' c@d.example (via Docs)', 'Received: from x', 'X-A:b '],
      ],
      [
        'fields that say little',
        ['To:', 'Date: mar, 14 apr 2026 10:00 GMT+0100', 'Reply-To: <Undisclosed-Recipient:;>'],
      ],
    ] as const)
      it(`holds, ${canonicalization}, over ${name}`, async () => {
        const header = [...fields, 'From: "Doe, Anna"  <anna@lab.example>', 'Message-ID:  <1@b.example>']
        const message = [...header, 'X-B: c', '', 'body  ', '', '.dot', '', ''].join('\r\n')
        const { signatures } = await dkimSign(message, {
          canonicalization,
          signTime: new Date(),
          headerList: ['from', 'to', 'cc', 'date', 'subject', 'reply-to', 'message-id', 'received', 'x-a', 'x-b'],
          ...key,
          signatureData: [key],
        })
        rig.enqueuer.taken.length = 0
        const client = await rig.login()
        const stuffed = `${signatures}${message}`.replaceAll('\r\n.', '\r\n..').replace(/\r\n$/, '')
        assert.match(await client.submit(stuffed), /^250 /)
        await client.end()
        const arrived = rig.enqueuer.taken[0]?.content.replaceAll('\n', '\r\n') ?? ''
        const { results } = await dkimVerify(Buffer.from(arrived, 'latin1'), {
          resolver: () => Promise.resolve([[record]]),
        })
        assert.deepEqual(
          results.map(({ status }) => status.result),
          ['pass'],
          arrived,
        )
      })
})
