/** Messages that others wrote, through submission: every field whose addresses are complete comes out as it went in. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { everyReading } from '../../src/protocols/rfc822/readings.ts'
import { sharedPath, skipWithout } from '../kit/shared.ts'
import { SubmissionRig } from '../kit/submission.ts'

/** What does not travel. */
const dropped = /^(?:bcc|resent-bcc|return-path|apparently-to|content-length)[ \t]*:/i
/** As empty as these, a field is as good as none. */
const empty = /^(?:from|date|message-id)[ \t]*:\s*$/i

/** By a reader of its own: lines with what is folded below them, up to the first that is no field. */
function fieldsOf(message: string): string[] {
  const fields: string[] = []
  for (const line of message.split('\n')) {
    const last = fields.at(-1)
    if (/^[ \t]/.test(line) && last !== undefined) fields[fields.length - 1] = `${last}\n${line}`
    else if (/^[!-9;-~]+[ \t]*:/.test(line)) fields.push(line)
    else break
  }
  return fields
}

function messagesIn(directory: string): [name: string, text: string][] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:eml|msg)$/.test(name))
    .toSorted()
    .map((name) => [name, mailable(readFileSync(join(directory, name), 'latin1'))])
}

/** As a mail program sends it: no NUL, one kind of line end. */
function mailable(text: string): string {
  return text.replaceAll('\0', '').replace(/\r\n?/g, '\n').replace(/\n*$/, '\n')
}

describe('submitted messages of others', { skip: skipWithout('suites') }, () => {
  const messages = messagesIn(sharedPath('suites') ?? '.')
  const rig = new SubmissionRig()
  before(async () => {
    const authors = messages.flatMap(([, text]) =>
      fieldsOf(text)
        .filter((field) => /^(?:resent-)?(?:from|sender)[ \t]*:/i.test(field))
        .flatMap((field) => everyReading(field.slice(field.indexOf(':') + 1))),
    )
    rig.control('senders', [...new Set(authors)].map((author) => `anna@lab.example:${author}`).join('\n'))
    await rig.start()
  })
  after(() => rig.stop())

  it('keep the bytes of their fields', async () => {
    let fields = 0
    for (const [name, text] of messages) {
      rig.enqueuer.taken.length = 0
      const client = await rig.login()
      const sent = text.replaceAll(/^\./gm, '..').replaceAll('\n', '\r\n').replace(/\r\n$/, '')
      assert.match(await client.submit(sent), /^250 /, name)
      await client.end()
      const arrived = `\n${rig.enqueuer.taken[0]?.content ?? ''}`
      for (const field of fieldsOf(text)) {
        if (dropped.test(field) || empty.test(field)) continue
        assert.ok(arrived.includes(`\n${field}\n`), `${name}: ${field}`)
        fields++
      }
    }
    assert.ok(messages.length > 100 && fields > 1000, `${messages.length} messages, ${fields} fields`)
  })
})
