/** What smtpd makes of policy's findings about a message. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bodyDigest } from '#test/kit/dkim-message.ts'
import { FakeEnqueuer } from '#test/kit/smtpd.ts'
import type { Outcome } from '../../base/outcome.ts'
import { ReadingEnqueuer } from '../../clients/queue/reading-enqueuer.ts'
import { handOn } from '../../clients/queue/enqueuer.ts'
import { noParams } from '../../contracts/envelope.ts'
import type { AuthAnswer } from '../../contracts/policy.ts'
import type { AuthFindings, AuthQuestion } from '../../contracts/policy-auth.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import { realClock } from '../../system/clock.ts'
import { authenticating } from './authentication.ts'

interface World {
  readonly findings?: Partial<AuthFindings> | undefined
  readonly control?: Readonly<Record<string, readonly string[]>>
  readonly sender?: string
  readonly variables?: Readonly<Record<string, string>>
  readonly explains?: boolean
  /** Of the client, and whether it leads back. */
  readonly name?: readonly [name: string, leadsBack: boolean]
  /** Policy is not there. */
  readonly isAlone?: boolean
  readonly text?: string
}

interface Seen {
  readonly outcome: Outcome<number>
  readonly content: string
  readonly params: readonly string[]
  readonly log: readonly string[]
  readonly told: readonly Finding[]
  readonly question: AuthQuestion | undefined
  /** What policy was told. */
  readonly acted: readonly unknown[]
}

const base: AuthFindings = {
  spf: 'softfail',
  signatures: [],
  skipped: 0,
  dmarc: 'fail',
  author: 'bank.test',
  whyNoAuthor: '',
  isAmbiguous: false,
  policy: 'reject',
  isFromList: false,
  receipt: 0,
  thoughts: [],
}

async function seen(world: World): Promise<Seen> {
  const {
    control = {},
    sender = 'x@evil.test',
    variables = {},
    findings = {},
    text = 'From: t@bank.test\n\nhi\n',
  } = world
  const log: string[] = []
  const told: Finding[] = []
  let question: AuthQuestion | undefined
  const acted: unknown[] = []
  const explained = { rule: 'TXT _dmarc.bank.test', freshMilliseconds: 0 }
  const check = authenticating({
    control: {
      optionalLine: () => 'us.test',
      line: (name) => (name === 'dmarcaction' ? (control[name]?.[0] ?? 'quarantine') : 'us.test ESMTP'),
      list: (name) => control[name],
    },
    clock: realClock,
    policy: {
      acted: (notice) => void acted.push(notice),
      auth(asked) {
        question = asked
        if (world.isAlone === true) return Promise.resolve({ answered: false, why: 'away' })
        const answer: AuthAnswer = { kind: 'auth', ...explained, logText: 'spf=softfail', ...base, ...findings }
        return Promise.resolve({ answered: true, answer })
      },
      name() {
        const [name, leadsBack] = world.name ?? ['', false]
        return Promise.resolve({ answered: true, answer: { kind: 'name', logText: '', ...explained, name, leadsBack } })
      },
    },
  })
  const enqueuer = new FakeEnqueuer()
  const reader = check({
    facts: { helo: 'mx.evil.test', sender, recipient: '', counts: { accepted: 1, asked: 1 }, recipientAllowed: true },
    environment: new Map(Object.entries({ TCPREMOTEIP: '192.0.2.7', ...variables })),
    tell: (finding) => void told.push(finding),
    log: (line) => void log.push(line),
    explains: world.explains === true,
  })
  const next = reader === undefined ? enqueuer : new ReadingEnqueuer(() => reader, enqueuer)
  const sink = next.open({ sender, recipients: ['r@us.test'] }, noParams)
  const outcome = await handOn(sink, 'Received: x\n', [Buffer.from(text, 'latin1')])
  const { content = '', params = noParams } = enqueuer.taken[0] ?? {}
  return { outcome, content, params: [...params].map((pair) => pair.join('=')), log, told, question, acted }
}

const replyOf = ({ outcome }: Seen): string =>
  outcome.done ? 'taken' : `${outcome.failure.replyCode ?? 554} ${outcome.failure.peerText}`

describe('a message whose author is not who he says', () => {
  it('30: is marked for the folder of what is suspect, and says so on top', async () => {
    const one = await seen({})
    assert.deepEqual(one.params, ['QUARANTINE=dmarc'])
    assert.equal(
      one.content,
      'Authentication-Results: us.test; spf=softfail smtp.mailfrom=x@evil.test;\n\tdkim=none; dmarc=fail (p=reject dis=quarantine) header.from=bank.test\n\tpolicy.dmarc=reject\nReceived: x\nFrom: t@bank.test\n\nhi\n',
    )
    assert.match(one.log[0] ?? '', /^auth: spf=softfail dis=quarantine [0-9.]+ms$/)
  })

  it('30: is refused where that is wanted, by the domain’s and our own word', async () => {
    const refused = await seen({ control: { dmarcaction: ['reject'] } })
    assert.match(replyOf(refused), /^550 sorry, the DMARC policy of bank\.test forbids this message.*\(#5\.7\.1\)$/)
    for (const world of [
      { findings: { policy: 'quarantine' as const } },
      { findings: { isFromList: true } },
      { sender: '' },
    ])
      assert.deepEqual((await seen({ control: { dmarcaction: ['reject'] }, ...world })).params, ['QUARANTINE=dmarc'])
  })

  it('is told of to policy, which reports it, with the reason why it is not what the owner wants', async () => {
    const told = async (world: World): Promise<readonly unknown[]> =>
      (await seen({ ...world, findings: { receipt: 9, ...world.findings } })).acted
    const acted = (action: string, reason: string): unknown[] => [{ receipt: 9, action, reason }]
    const reject = { dmarcaction: ['reject'] }
    assert.deepEqual(await told({}), acted('quarantine', 'local_policy'))
    assert.deepEqual(await told({ findings: { policy: 'quarantine' } }), acted('quarantine', 'none'))
    assert.deepEqual(await told({ control: reject }), acted('reject', 'none'))
    assert.deepEqual(
      await told({ control: reject, findings: { isFromList: true } }),
      acted('quarantine', 'mailing_list'),
    )
    const trusted = { dmarcaction: ['reject'], trustedforwarders: ['192.0.2.7'] }
    assert.deepEqual(await told({ control: trusted }), acted('none', 'trusted_forwarder'))
    assert.deepEqual(await told({ findings: { dmarc: 'pass' } }), acted('none', 'none'))
    assert.deepEqual((await seen({})).acted, [])
  })

  it('32, 33: is taken as any other where its owner wants no more, or nobody knows', async () => {
    for (const findings of [
      { policy: 'none' },
      { dmarc: 'temperror', policy: undefined },
      { dmarc: 'none' },
    ] as const) {
      const taken = await seen({ findings, control: { dmarcaction: ['reject'] } })
      assert.deepEqual([replyOf(taken), taken.params], ['taken', []])
      assert.ok(taken.content.endsWith('Received: x\nFrom: t@bank.test\n\nhi\n'))
    }
    assert.deepEqual((await seen({ control: { dmarcaction: ['none'] } })).params, [])
    // What nobody can understand is what holds without the file.
    assert.deepEqual((await seen({ control: { dmarcaction: ['refuse'] } })).params, ['QUARANTINE=dmarc'])
  })

  it('31: may come from a trusted forwarder, known by address or by a name that leads back', async () => {
    const trusting = (...lines: string[]): World => ({
      control: { dmarcaction: ['reject'], trustedforwarders: lines },
    })
    const isTaken = async (world: World): Promise<boolean> =>
      (await seen(world)).params.length === 0 && replyOf(await seen(world)) === 'taken'
    assert.ok(await isTaken(trusting('192.0.2.0/24')))
    assert.ok(await isTaken({ ...trusting('Lists.other.test'), name: ['lists.other.test', true] }))
    assert.ok(!(await isTaken({ ...trusting('lists.other.test'), name: ['lists.other.test', false] })))
    assert.ok(!(await isTaken(trusting('198.51.100.1'))))
  })
})

describe('a message without one author', () => {
  const why = { author: '', policy: undefined, whyNoAuthor: 'it has 2 fields From' } as const
  const findings = { dmarc: 'permerror', ...why, isAmbiguous: true } as const
  it('27: is refused unless nothing is ever done', async () => {
    for (const action of ['quarantine', 'reject'])
      assert.match(
        replyOf(await seen({ findings, control: { dmarcaction: [action] } })),
        /^554 sorry, I cannot tell who wrote this message: it has 2 fields From \(#5\.6\.0\)$/,
      )
    const taken = await seen({ findings, control: { dmarcaction: ['none'] } })
    assert.match(taken.content, /dmarc=permerror\s\(it has 2 fields From,\sdis=none\)\nReceived/)
  })
})

describe('a message without any author', () => {
  it('is kept apart', async () => {
    const findings = { dmarc: 'permerror', author: '', policy: undefined, whyNoAuthor: 'it has no From' } as const
    for (const action of ['quarantine', 'reject'])
      assert.deepEqual((await seen({ findings, control: { dmarcaction: [action] } })).params, ['QUARANTINE=dmarc'])
    assert.deepEqual((await seen({ findings, control: { dmarcaction: ['none'] } })).params, [])
  })
})

describe('who is asked', () => {
  it('gets the header, and digests of the body as its signatures want them', async () => {
    const body = 'a  b \n\n\n'
    const header = 'DKIM-Signature: v=1; c=relaxed/relaxed\nFrom: a@b.test\n'
    const { question } = await seen({
      text: `${header}\n${body}`,
      variables: { SPP_SPF_DONT_ALLOW_RANDOM_IP_PASS: '' },
    })
    assert.ok(question !== undefined)
    assert.deepEqual(question, {
      ip: '192.0.2.7',
      helo: 'mx.evil.test',
      sender: 'x@evil.test',
      refuseOpenPass: true,
      header,
      bodies: { relaxed: bodyDigest('relaxed', [body]) },
      explain: false,
    })
    assert.deepEqual((await seen({})).question?.bodies, {})
  })

  it('is not asked about whom we send for', async () => {
    const own = await seen({ variables: { RELAYCLIENT: '' } })
    assert.deepEqual([own.question, own.content], [undefined, 'Received: x\nFrom: t@bank.test\n\nhi\n'])
  })

  it('may be away: the message is taken', async () => {
    const unsigned = await seen({ isAlone: true })
    assert.equal(unsigned.content, 'Received: x\nFrom: t@bank.test\n\nhi\n')
    assert.deepEqual(unsigned.log, ['auth: no answer: away'])
    const signed = await seen({ isAlone: true, text: 'DKIM-Signature: v=1\nFrom: a@b\n\n' })
    assert.match(signed.content, /^Authentication-Results: us\.test; dkim=temperror /)
  })

  it('is not asked about a header that is larger than any, which is refused', async () => {
    for (const end of ['\n\n', '\n', '']) {
      const refused = await seen({ text: `X: ${'x'.repeat(140_000)}\nFrom: a@b.test${end}` })
      assert.deepEqual([replyOf(refused).slice(0, 4), refused.question], ['552 ', undefined])
    }
  })

  it('tells every step to who asks what would happen', async () => {
    const thoughts = ['spf: softfail for evil.test', 'dmarc: the author’s domain is bank.test']
    const { told, question } = await seen({ explains: true, findings: { thoughts } })
    assert.equal(question?.explain, true)
    assert.deepEqual(
      told.map(({ check, text }) => `${check}: ${text}`),
      [...thoughts, 'dmarc: would be kept apart: control/dmarcaction asks for no more'],
    )
  })
})
