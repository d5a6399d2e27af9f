import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { delivered } from '../../protocols/qmail/delivery-status.ts'
import { plainFailure } from '../../base/outcome.ts'
import { outputOf } from './once.ts'
import { deliverByProgram } from './wrapper.ts'

const home = mkdtempSync(join(tmpdir(), 'quaver-wrapper-'))
after(() => rmSync(home, { recursive: true, force: true }))
const logged: string[] = []

/** Class and text for each recipient. */
async function reports(
  script: string,
  recipients = ['r@to.example'],
  content = 'Subject: x\n\nhi\n',
): Promise<string[]> {
  const program = join(home, 'wrapper')
  writeFileSync(program, `#!/bin/sh\n${script}\n`)
  chmodSync(program, 0o755)
  return await reportsOf(program, recipients, content)
}

async function reportsOf(program: string, recipients: readonly string[], content: string): Promise<string[]> {
  const tools = { program, home, clock: realClock, random: realRandom, log: (line: string) => void logged.push(line) }
  const mail = { sender: 's@x.example', recipients }
  const statuses = await deliverByProgram(mail, () => [Buffer.from(content, 'latin1')], tools)
  return statuses.map((status) => `${status.class} ${status.peerText}`)
}

test('a program gets host, sender and recipient, and a message that it may read twice', async () => {
  const script = `read line; cat > /dev/null; perl -e 'sysseek(STDIN, 0, 0) or exit 1'; read again; [ "$again" = "$line" ] || exit 1
printf 'r\\0K%s %s %s %s %s\\n\\0' "$#" "$1" "$2" "$3" "$line"`
  assert.deepEqual(await reports(script, ['r@to.example', 'b c@to.example']), [
    '2 3 to.example s@x.example r@to.example Subject: x\n',
    '2 3 to.example s@x.example b c@to.example Subject: x\n',
  ])
})

test('its reports are read as qmail-rspawn reads them, with what it says on descriptor 2', async () => {
  assert.deepEqual(await reports(`printf 'sbusy\\n\\0DGiving up\\n\\0'`), ['4 busy\nGiving up\n'])
  assert.deepEqual(await reports(`printf 'Dno\\n\\0' >&2`), ['5 no\n'])
  assert.deepEqual(await reports('exit 100'), ['5 Unable to run qmail-remote.\n'])
  assert.deepEqual(await reports('kill -9 $$'), ['4 qmail-remote crashed.\n'])
  assert.deepEqual(await reports('no-such-program'), ['4 Unable to run qmail-remote.\n'])
})

test('a program that is not there defers, and the log says which', async () => {
  assert.deepEqual(await reportsOf('/nowhere/remote', ['r@to.example'], 'x\n'), ['4 Unable to run qmail-remote.\n'])
  assert.match(logged.at(-1) ?? '', /cannot run QMAILREMOTE \/nowhere\/remote/)
})

test('an address that is no UTF-8 is passed on as it is', async () => {
  assert.deepEqual(await reports(`printf 'r\\0K%s\\n\\0' "$3"`, ['\xff@to.example']), ['2 \xff@to.example\n'])
})

test('qmail-remote says of the message what holds for all, and of each recipient what differs', () => {
  const later = plainFailure(4, '0.0', 'later\n', '')
  const no = plainFailure(5, '0.0', 'no\n', '')
  assert.equal(outputOf([later, later]), 'Zlater\n\0')
  assert.equal(outputOf([no]), 'Dno\n\0')
  assert.equal(outputOf([delivered('ok\n')]), 'r\0Kok\n\0')
  assert.equal(outputOf([no, delivered('ok\n'), later]), 'hno\n\0r\0slater\n\0Kok\n\0')
  assert.equal(outputOf([no, later]), 'hno\n\0slater\n\0ZGiving up (#4.0.0)\n\0')
})
