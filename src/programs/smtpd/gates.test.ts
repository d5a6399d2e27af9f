import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ScriptedSession } from '../../../test/kit/smtpd.ts'
import type { Answered } from '../../clients/policy/policy-client.ts'
import type { RecipientFinding } from '../../clients/recipients/recipient-client.ts'
import type { DnsblAnswer, GreylistAnswer, SpfAnswer, SpfResult } from '../../contracts/policy.ts'
import { done, failed, type Outcome, permanent, transient } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { Control } from '../../stores/control/control.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import { realClock } from '../../system/clock.ts'
import { Gates } from './gates.ts'
import type { ContentCheck } from './session-gate.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-gates-'))
after(() => rmSync(directory, { recursive: true, force: true }))
let homes = 0

interface Answers {
  readonly control?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
  readonly dnsbl?: Partial<DnsblAnswer>
  readonly spf?: (sender: string) => SpfResult
  readonly greylist?: Partial<GreylistAnswer>
  readonly recipient?: RecipientFinding
  readonly contentChecks?: readonly ContentCheck[]
  readonly addressCheck?: Outcome<void>
}

function answered<T>(answer: T): Promise<Answered<T>> {
  return Promise.resolve({ answered: true, answer })
}

/** A session of a stranger, whose checks get these answers. Says what was asked. */
function sessionWith(answers: Answers): { session: ScriptedSession; asked: string[] } {
  homes++
  const home = join(directory, String(homes))
  mkdirSync(home)
  const files = { me: 'here.example\n', rcpthosts: 'here.example\n', locals: 'here.example\n', ...answers.control }
  mkdirSync(join(home, 'greylist'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text)
  const control = new Control(home, realClock)
  const asked: string[] = []
  const gates = new Gates({
    control,
    clock: realClock,
    log: () => undefined,
    readFile: () => undefined,
    executor: { run: () => Promise.resolve({ how: 'not-run', code: 0, detail: '' }) },
    policy: {
      dnsbl({ lists }) {
        asked.push(`dnsbl ${lists.join()}`)
        const clear = {
          kind: 'dnsbl',
          rule: 'r',
          logText: '',
          freshMilliseconds: 0,
          decision: 'clear',
          code: 0,
          zone: '',
        } as const
        return answered({ ...clear, address: '', text: '', marks: [], score: 0, ...answers.dnsbl })
      },
      spf({ sender }) {
        const result = answers.spf?.(sender) ?? 'none'
        asked.push(`spf ${sender}`)
        const field = `Received-SPF: ${result} (here.example: about ${sender})`
        const base = {
          kind: 'spf',
          rule: 'r',
          logText: '',
          freshMilliseconds: 0,
          explanation: 'go away',
          openToAll: false,
        } as const
        const answer: SpfAnswer = { ...base, result, receivedSpf: field, guess: 'not-made' }
        return answered(answer)
      },
      greylist({ sender, recipient }) {
        asked.push(`greylist ${sender} ${recipient}`)
        const base = {
          kind: 'greylist',
          rule: 'r',
          logText: '',
          freshMilliseconds: 0,
          state: 'known',
          untilMs: 0,
        } as const
        return answered({ ...base, refuseAtData: sender === '', ...answers.greylist })
      },
    },
    recipients: {
      find(address) {
        asked.push(`recipient ${address}`)
        return answers.recipient ?? { verdict: 'exists', rule: 'test' }
      },
    },
    queue: {
      checkAddresses(sender, recipient) {
        asked.push(`queue <${sender}> ${recipient}`)
        return Promise.resolve(answers.addressCheck ?? done(undefined))
      },
    },
    contentChecks: answers.contentChecks ?? [],
    tables: () => routingTables(control),
  })
  const session = new ScriptedSession({
    gate: (environment) => gates.open(environment),
    control: {
      rcpthosts: files.rcpthosts,
      ...(answers.control?.['srs_domain'] === undefined ? {} : { srs_domain: answers.control['srs_domain'] }),
    },
    ...(answers.environment === undefined ? {} : { environment: answers.environment }),
  })
  return { session, asked }
}

async function talk(session: ScriptedSession, ...lines: string[]): Promise<string[]> {
  const replies: string[] = []
  for (const line of lines) {
    session.output = ''
    session.session.receive(Buffer.from(`${line}\r\n`, 'latin1'))
    for (let turn = 0; turn < 50 && session.output === '' && !session.closed; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    replies.push(session.output.trimEnd())
  }
  return replies
}

const listed: Partial<DnsblAnswer> = { decision: 'listed', code: 451, text: 'listed: see https://bl.example' }

test('a listed client is served up to RCPT and refused there, but for postmaster', async () => {
  const { session, asked } = sessionWith({ dnsbl: listed })
  assert.deepEqual(await talk(session, 'HELO x', 'MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>'), [
    '250 lab.test.example',
    '250 ok',
    '451 listed: see https://bl.example',
  ])
  assert.deepEqual(await talk(session, 'RCPT TO:<PostMaster@here.example>'), ['250 ok'])
  assert.equal(asked.filter((one) => one.startsWith('dnsbl')).length, 1)
  assert.ok(asked.includes('dnsbl zen.spamhaus.org'))
})

test('a score is acted on where control/dnsblscore says from which on', async () => {
  const mail = ['MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>']
  for (const [control, dnsbl, reply] of [
    [{}, { score: 99 }, '250 ok'],
    [{ dnsblscore: '5\n' }, { score: 4 }, '250 ok'],
    [{ dnsblscore: '5\n' }, { score: 5 }, '451 your address has a score of 5 on DNS lists, the limit is 5'],
    [{ dnsblscore: '5\n' }, { score: 9, decision: 'allowed' }, '250 ok'],
    [{ dnsblscore: '5\n' }, { ...listed, score: 9 }, '451 listed: see https://bl.example'],
  ] as const) {
    const { session } = sessionWith({ control, dnsbl })
    assert.equal((await talk(session, ...mail))[1], reply)
  }
})

test('marks and score go into a header field where control/dnsblheader names one, below Received-SPF', async () => {
  const mail = ['MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>', 'DATA', 'x\r\n.']
  const content = async (control: Record<string, string>, dnsbl: Partial<DnsblAnswer>): Promise<string> => {
    const { session } = sessionWith({ control, dnsbl })
    await talk(session, ...mail)
    return session.enqueuer.taken[0]?.content ?? ''
  }
  const marked = { marks: ['m.test', 'n.test'], score: 3 }
  const named = { dnsblheader: 'X-DNS-Lists\n' }
  assert.match(
    await content(named, marked),
    /\nReceived-SPF: none [^\n]*\nX-DNS-Lists: client-ip=192\.0\.2\.9; score=3; marks=m\.test n\.test\nx\n$/,
  )
  assert.doesNotMatch(await content({}, marked), /DNS-Lists/)
  assert.doesNotMatch(await content(named, {}), /DNS-Lists/)
  assert.doesNotMatch(await content({ dnsblheader: 'X Bad: name\n' }, marked), /Bad/)
})

test('RBLSMTPD decides without asking: a text blocks, with - for good, empty lets through', async () => {
  for (const [value, reply] of [
    ['go away', '451 go away'],
    ['-go away', '553 go away'],
    ['', '250 ok'],
  ] as const) {
    const { session, asked } = sessionWith({ dnsbl: listed, environment: { RBLSMTPD: value } })
    const replies = await talk(session, 'MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>')
    assert.equal(replies[1], reply)
    assert.deepEqual(
      asked.filter((one) => one.startsWith('dnsbl')),
      [],
    )
  }
})

test('relay clients are asked about no list and no SPF', async () => {
  const { session, asked } = sessionWith({ dnsbl: listed, environment: { RELAYCLIENT: '' } })
  const replies = await talk(session, 'MAIL FROM:<a@b.example>', 'RCPT TO:<x@elsewhere.example>')
  assert.deepEqual(replies, ['250 ok', '250 ok'])
  assert.deepEqual(asked, [])
})

test('a recipient is accepted if delivery would find it, 553 if not, 451 for it alone if it cannot be told', async () => {
  for (const [verdict, reply] of [
    ['exists', '250 ok'],
    ['absent', '553 sorry, no mailbox here by that name. (#5.1.1)'],
    ['unknown', '451 unable to verify recipient (#4.3.0)'],
  ] as const) {
    const { session, asked } = sessionWith({ recipient: { verdict, rule: 'test' } })
    const replies = await talk(session, 'MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>')
    assert.equal(replies[1], reply)
    assert.equal(session.closed, false)
    assert.ok(asked.includes('recipient joe@here.example'))
  }
})

test('SPF: the field goes below our Received, one for each message, and a pass exempts its own transaction only', async () => {
  const control = { smtpplugins: '[mail]\nqmail-spp-spf\n[rcpt]\nplugins/greylisting-spp\n' }
  const environment = { SPP_SPF_RESULT_PASS: 'SGL_WHITELISTED=1' }
  const { session, asked } = sessionWith({
    control,
    environment,
    spf: (sender) => (sender.startsWith('good') ? 'pass' : 'none'),
    greylist: { state: 'new' },
  })
  const first = await talk(session, 'MAIL FROM:<good@b.example>', 'RCPT TO:<joe@here.example>', 'DATA', 'x\r\n.')
  assert.equal(first[1], '250 ok')
  const second = await talk(session, 'MAIL FROM:<bad@b.example>', 'RCPT TO:<joe@here.example>')
  assert.equal(second[1], '451 greylisted, retry later (#4.7.1)')
  assert.deepEqual(
    asked.filter((one) => one.startsWith('greylist')),
    ['greylist bad@b.example joe@here.example'],
  )
  const content = session.enqueuer.taken[0]?.content ?? ''
  assert.match(content, /^Received: from [^]*?\nReceived-SPF: pass \(here\.example: about good@b\.example\)\nx\n$/)
})

test('two MAILs in a row leave one Received-SPF', async () => {
  const { session } = sessionWith({ spf: () => 'none' })
  await talk(
    session,
    'MAIL FROM:<a@b.example>',
    'MAIL FROM:<c@d.example>',
    'RCPT TO:<joe@here.example>',
    'DATA',
    'x\r\n.',
  )
  const content = session.enqueuer.taken[0]?.content ?? ''
  assert.deepEqual(content.match(/Received-SPF: [^\n]*/g), ['Received-SPF: none (here.example: about c@d.example)'])
})

test('SPP_SPF_RESULT_FAIL refuses with the explanation', async () => {
  const { session } = sessionWith({ spf: () => 'fail', environment: { SPP_SPF_RESULT_FAIL: 'E550 spf_smtp_msg' } })
  assert.deepEqual(await talk(session, 'MAIL FROM:<a@b.example>'), ['550 go away'])
})

test('greylisting tells a bounce only at DATA, so that callouts succeed', async () => {
  const control = { smtpplugins: '[rcpt]\ngreylisting-spp-wrapper\n' }
  const { session } = sessionWith({ control, greylist: { state: 'new' } })
  assert.deepEqual(await talk(session, 'MAIL FROM:<>', 'RCPT TO:<joe@here.example>', 'DATA'), [
    '250 ok',
    '250 ok',
    '451 greylisted, retry later (#4.7.1)',
  ])
})

test('exempt recipients and domains are not greylisted, in any case', async () => {
  const control = {
    smtpplugins: '[rcpt]\ngreylisting-spp-wrapper\n',
    'greylist/exemptrcpts': 'joe@HERE.example\n',
    'greylist/exemptrcpthosts': 'Free.example\n',
    rcpthosts: 'here.example\nfree.example\n',
  }
  const { session, asked } = sessionWith({ control, greylist: { state: 'new' } })
  const replies = await talk(
    session,
    'MAIL FROM:<a@b.example>',
    'RCPT TO:<Joe@here.example>',
    'RCPT TO:<x@free.EXAMPLE>',
    'RCPT TO:<mary@here.example>',
  )
  assert.deepEqual(replies.slice(1), ['250 ok', '250 ok', '451 greylisted, retry later (#4.7.1)'])
  assert.deepEqual(
    asked.filter((one) => one.startsWith('greylist')),
    ['greylist a@b.example mary@here.example'],
  )
})

test('who has a question about content is asked when it is whole, before anybody takes it', async () => {
  const asked: string[] = []
  const check =
    (name: string, verdict: (subject: string) => Outcome<string>): ContentCheck =>
    ({ facts, environment }) => {
      if (facts.sender === '') return undefined
      let subject = ''
      return {
        header: ({ fields }) => (subject = fields.find((field) => field.name === 'subject')?.raw ?? ''),
        body: () => undefined,
        verdict() {
          asked.push(`${name} ${facts.helo} ${environment.get('TCPREMOTEIP')}`)
          const said = verdict(subject)
          return Promise.resolve(said.done ? done({ head: said.value, params: noParams }) : said)
        },
        abandon: () => void asked.push(`${name} given up`),
      }
    }
  const { session } = sessionWith({
    contentChecks: [
      check('first', (subject) =>
        subject.endsWith('bad') ? failed(transient('7.0', 'not now')) : done('X-First: 1\n'),
      ),
      check('second', () => done('X-Second: 2\n')),
    ],
  })
  const send = async (sender: string, subject: string): Promise<string> =>
    (
      await talk(
        session,
        `MAIL FROM:<${sender}>`,
        'RCPT TO:<joe@here.example>',
        'DATA',
        `Subject: ${subject}\r\n\r\nhi\r\n.`,
      )
    )[3] ?? ''
  await talk(session, 'EHLO x')
  assert.match(await send('a@b.example', 'good'), /^250 /)
  assert.match(
    session.enqueuer.taken[0]?.content ?? '',
    /^X-Second: 2\nX-First: 1\nReceived: [^]*\nSubject: good\n\nhi\n$/,
  )
  assert.equal(await send('a@b.example', 'bad'), '451 4.7.0 not now (#4.7.0)')
  assert.match(await send('', 'bad'), /^250 /)
  assert.equal(session.enqueuer.taken.length, 2)
  await talk(session, 'MAIL FROM:<a@b.example>', 'RCPT TO:<joe@here.example>', 'DATA')
  session.session.receive(Buffer.from(`Subject: x\r\n\r\n${'y\r\n'.repeat(50_000)}`))
  await session.settle()
  session.session.abort()
  const of = (name: string): string => `${name} x 192.0.2.9`
  assert.deepEqual(asked, [
    of('first'),
    of('second'),
    of('first'),
    'second given up',
    'first given up',
    'second given up',
  ])
})

test('an SRS address of ours is taken as the queue says, whatever rcpthosts and recipient checks say', async () => {
  const recipient = 'SRS0=aaaa=bb=far.example=joe@SRS.here.example'
  const mail = ['EHLO x', 'MAIL FROM:<>', `RCPT TO:<${recipient}>`]
  const control = { srs_domain: 'srs.Here.example\n', locals: 'srs.here.example\n' }
  const absent = { verdict: 'absent', rule: 'test' } as const
  for (const [addressCheck, reply] of [
    [done(undefined), '250 2.1.5 ok'],
    [failed(permanent('1.1', 'sorry, none of mine')), '550 5.1.1 sorry, none of mine (#5.1.1)'],
    [failed(transient('3.0', 'not now')), '451 4.3.0 not now (#4.3.0)'],
  ] as const) {
    const { session, asked } = sessionWith({ control, addressCheck, recipient: absent })
    assert.equal((await talk(session, ...mail)).at(-1), reply)
    assert.ok(asked.includes(`queue <> ${recipient}`))
    assert.ok(!asked.some((one) => one.startsWith('recipient ')))
  }
  // Another name in that domain is a recipient like any other, and without srs_domain there are no such addresses.
  const other = sessionWith({ control: { ...control, rcpthosts: 'srs.here.example\n' }, recipient: absent })
  const refused = await talk(other.session, 'EHLO x', 'MAIL FROM:<>', 'RCPT TO:<joe@srs.here.example>')
  assert.match(refused.at(-1) ?? '', /^55/)
  const without = sessionWith({})
  assert.match((await talk(without.session, ...mail)).at(-1) ?? '', /^553 .*rcpthosts/)
  assert.ok(![...other.asked, ...without.asked].some((one) => one.startsWith('queue ')))
})
