/** control/ofmipfilters: run by the process of the one who sends, as whom he is. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SubmissionRig } from '../kit/submission.ts'
import { compileRules } from '../../src/stores/tcprules/compile.ts'
import { RulesFile } from '../../src/stores/tcprules/rules-file.ts'
import { nodeFlags } from '../../src/system/node-flags.ts'
import { withoutOtherAccounts } from '../kit/tool.ts'

describe('filters of submission', () => {
  const rig = new SubmissionRig()
  const filter = (name: string, body: string): string => {
    const path = join(rig.home.bin, name)
    mkdirSync(rig.home.bin, { recursive: true })
    writeFileSync(path, `#!/bin/sh\n${body}\n`)
    chmodSync(path, 0o755)
    return path
  }
  before(() => {
    const list = [
      'bin/qmail-qfilter-addtlsheader',
      filter('env', 'env | sort > env.seen; cat > message.seen; cat <&3 > envelope.seen'),
      'bin/uid',
      filter('refuse', 'if grep -q "^Subject: bad" ; then printf "Dnot from here (#5.7.1)" >&6; exit 82; fi'),
    ]
    filter('uid', 'echo "X-Uid: $(id -u)"; cat')
    rig.control('ofmipfilters', list.join('\n'))
    return rig.start()
  })
  after(() => rig.stop())
  const seen = (name: string): string => readFileSync(join(rig.home.path, `${name}.seen`), 'latin1')

  it('see the cleaned message, the rewritten envelope, and who sends', async () => {
    const client = await rig.login()
    assert.match(await client.submit('Bcc: z@y.x\r\nSubject: good\r\n', 'anna@lab.example', ['mary']), /^250 /)
    const message = seen('message')
    assert.match(message, /^Received: \(ucspitls acceptutils authup anna@lab\.example TLSv1\.3 /)
    assert.equal(message.match(/ucspitls/g)?.length, 1, 'the TLS field is there once')
    assert.doesNotMatch(message, /Bcc/)
    assert.equal(seen('envelope'), 'Fanna@lab.example\0Tmary@host.example\0\0')
    const environment = new Map(
      seen('env')
        .split('\n')
        .map((line) => [line.split('=', 1)[0], line.replace(/^[^=]*=/, '')]),
    )
    const told = {
      AUTHUP_USER: 'anna@lab.example',
      PYMSGAUTH_TOLERATE_UNCONFIGURED: '1',
      HOME: rig.homeOf('anna'),
      USER: 'user',
      TCPREMOTEIP: '192.0.2.7',
      TCPREMOTEPORT: '40000',
      TCPLOCALPORT: '587',
      PROTO: 'TCP',
      SSL_PROTOCOL: 'TLSv1.3',
      QMAILUSER: 'anna',
      QMAILHOST: 'lab.example',
      NUMRCPTS: '1',
      QMAILPPID: String(process.pid),
    }
    for (const [name, value] of Object.entries(told)) assert.equal(environment.get(name), value, name)
    assert.equal(environment.has('QMAILNAME'), false)
    assert.match(rig.enqueuer.taken.at(-1)?.content ?? '', new RegExp(`^X-Uid: ${process.getuid?.()}\nReceived: `))
    await client.end()
  })

  it('may refuse a message with words of their own', async () => {
    const client = await rig.login()
    assert.equal(await client.submit('Subject: bad\r\n'), '554 5.7.1 not from here (#5.7.1)\r\n')
    assert.match(await client.submit('Subject: good\r\n'), /^250 /)
    await client.end()
  })

  it('get long messages too', async () => {
    const client = await rig.login()
    const body = 'x'.repeat(998).concat('\r\n').repeat(300)
    assert.match(await client.submit(`Subject: good\r\n\r\n${body}`), /^250 /)
    const taken = rig.enqueuer.taken.at(-1)
    assert.ok(taken?.content.endsWith(`\n\n${body.replaceAll('\r\n', '\n')}\n`))
    await client.end()
  })

  it('see nothing of a message in another’s name', async () => {
    const client = await rig.login()
    writeFileSync(join(rig.home.path, 'message.seen'), '')
    assert.match(await client.submit('From: bob@lab.example\r\n'), /^554 /)
    assert.equal(seen('message'), '')
    await client.end()
  })
})

describe('what the rules of the ofmip listener set', () => {
  const rig = new SubmissionRig()
  const script = (name: string, body: string): void => {
    mkdirSync(rig.home.bin, { recursive: true })
    writeFileSync(join(rig.home.bin, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(rig.home.bin, name), 0o755)
  }
  /** Rules are looked at once a second; these are handed in as they are. */
  const withRules = async (line: string): Promise<void> => {
    mkdirSync(join(rig.home.control, 'tcprules'), { recursive: true })
    writeFileSync(join(rig.home.control, 'tcprules/ofmip'), `${line}\n`)
    const compiled = await compileRules(rig.home, 'ofmip')
    assert.equal(compiled?.done, true)
    const { tools } = rig
    assert.ok(tools !== undefined)
    rig.tools = { ...tools, rules: new RulesFile(rig.home, 'ofmip', tools.clock) }
  }
  before(() => {
    rig.control('ofmipfilters', 'bin/listed')
    rig.control('others', 'bin/other')
    script('listed', 'echo X-Listed: yes; cat')
    script(
      'other',
      'echo "X-Other: $PYMSGAUTH_TOLERATE_UNCONFIGURED $OF_THE_RULE $AUTHUP_USER ${QMAILQUEUE-none}"; cat',
    )
    script('queue', 'cat > queued.seen; cat <&1 > envelope.seen')
    return rig.start()
  })
  after(() => rig.stop())

  const sends = async (remoteHost = ''): Promise<string> => {
    const client = await rig.login({ remoteHost })
    const reply = await client.submit('Subject: s\r\n', 'anna@lab.example', ['mary'])
    await client.end()
    return reply
  }

  it('names the filters, and reaches them', async () => {
    const queue = '/var/qmail/bin/qmail-qfilter-queue'
    const filters = `QMAILQUEUE="${queue}",QMAILQUEUEFILTERS="control/others"`
    await withRules(`:allow,${filters},OF_THE_RULE="0",AUTHUP_USER="root"`)
    assert.match(await sends(), /^250 /)
    assert.match(rig.enqueuer.taken.at(-1)?.content ?? '', /^X-Other: 1 0 anna@lab\.example none\nReceived: /)
  })

  it('goes by the name that the front has found', async () => {
    await withRules(
      '=pc.lab.example:allow,OF_THE_RULE="named",QMAILQUEUE="/var/qmail/bin/qmail-qfilter-queue",QMAILQUEUEFILTERS="control/others"',
    )
    assert.match(await sends('pc.lab.example'), /^250 /)
    assert.match(rig.enqueuer.taken.at(-1)?.content ?? '', /^X-Other: 1 named /)
    assert.match(await sends(), /^250 /)
    assert.match(rig.enqueuer.taken.at(-1)?.content ?? '', /^X-Listed: yes\n/)
  })

  it('may name a program that takes the message instead of the queue, cleaned', async () => {
    await withRules(':allow,QMAILQUEUE="bin/queue"')
    const earlier = rig.enqueuer.taken.length
    assert.match(await sends(), /^250 /)
    assert.equal(rig.enqueuer.taken.length, earlier)
    assert.match(
      readFileSync(join(rig.home.path, 'queued.seen'), 'latin1'),
      /^Received: \(ucspitls [^]*\nFrom: anna@lab/,
    )
    const envelope = readFileSync(join(rig.home.path, 'envelope.seen'), 'latin1')
    assert.equal(envelope, 'Fanna@lab.example\0Tmary@host.example\0\0')
  })

  it('serves nobody with a list of filters that is not there', async () => {
    await withRules(':allow,QMAILQUEUE="bin/qmail-qfilter-queue",QMAILQUEUEFILTERS="control/none"')
    const client = await rig.login()
    assert.equal(client.output, '451 4.3.0 qq unable to read configuration (#4.3.0)\r\n')
    client.socket.destroy()
    assert.ok(rig.log.some((line) => line.includes('QMAILQUEUEFILTERS names control/none, which does not exist')))
  })
})

it('a filter’s uid is that of the one who sends', { skip: withoutOtherAccounts() }, async () => {
  const script = join(import.meta.dirname, 'submit-with-filter.ts')
  const child = spawn(process.execPath, [...nodeFlags, script], {
    uid: 54_321,
    gid: 54_321,
    cwd: '/',
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise((resolve) => child.once('close', resolve))
  assert.match(said, /^X-Uid: 54321\nReceived: /)
})
