import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock, policyOf } from '#test/kit/smtpd.ts'
import { done, failed, permanent } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { planFilters } from '../../clients/queue/filter-chain.ts'
import { parseFixSmtpIo } from '../../protocols/qmail/fixsmtpio.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import { ContentBudget } from '../../clients/queue/content-budget.ts'
import { type ExplainStep, Explanation } from './explain.ts'
import { type Facts, openGate } from './gate.ts'
import { limits } from './limits.ts'
import type { ContentCheck } from './session-gate.ts'
import { ReplyRules } from './reply-rules.ts'

interface World {
  readonly rules?: string
  readonly to?: string
  readonly variables?: Readonly<Record<string, string>>
  readonly text?: string
  readonly checks?: readonly ContentCheck[]
}

async function explained(world: World): Promise<ExplainStep[]> {
  const { rules = '', to = 'joe@lab.test.example', variables = {}, text, checks = [] } = world
  const parsed = parseFixSmtpIo(rules)
  assert.ok(parsed.valid)
  const environment = new Map(Object.entries(variables))
  const findings: Finding[] = []
  const setting = {
    policy: policyOf({}),
    environment,
    gate: {
      ...openGate(environment),
      readers: (facts: Facts) =>
        checks
          .map((begin) =>
            begin({
              facts,
              environment,
              tell: (finding) => void findings.push(finding),
              log: () => undefined,
              explains: true,
            }),
          )
          .filter((reader) => reader !== undefined),
    },
    replyRules: new ReplyRules(parsed.rules, 'lab.test.example'),
    limits,
    clock: new FakeClock(),
    budget: new ContentBudget(limits.contentBytesInFlightMax),
    log: () => undefined,
    enqueuerFor: () => assert.fail('nobody takes what is explained'),
    relayerOf: () => '',
    isOwnResult: () => false,
    tlsAvailable: () => false,
  }
  const explanation = new Explanation(setting, findings, rulesBehind, (whole) => ({
    whole,
    plan: planFilters(whole, [], 'smtpfilters', () => undefined),
  }))
  const message = text === undefined ? undefined : Buffer.from(text)
  const request = { ip: '192.0.2.7', helo: 'client.test', from: 'a@b.test', to: [to], message }
  return await Array.fromAsync(explanation.steps(request))
}

const rulesBehind = { environment: 'control/tcprules/smtp :', controls: 'control/fixsmtpio' }

const stepOf = (steps: readonly ExplainStep[], verb: string): ExplainStep =>
  steps.find(({ command }) => command.startsWith(verb)) ?? assert.fail(`no step ${verb}`)

describe('explain', () => {
  it('goes on where a rule removes a whole reply, and says so', async () => {
    const steps = await explained({ rules: ':rcpt::*::\n' })
    assert.equal(stepOf(steps, 'RCPT').reply, 'no reply (removed by control/fixsmtpio)')
    assert.match(stepOf(steps, 'DATA').reply, /^354 /)
  })

  it('ends where a rule ends the session without a word', async () => {
    const steps = await explained({ rules: ':mail::*:1:\n' })
    assert.equal(steps.at(-1)?.command, 'MAIL FROM:<a@b.test>')
    assert.equal(steps.at(-1)?.reply, 'no reply (removed by control/fixsmtpio)')
  })

  it('says why postmaster is accepted, and only of postmaster', async () => {
    const checksOf = async (to: string): Promise<readonly string[]> =>
      stepOf(await explained({ to }), 'RCPT').findings.map(({ check }) => check)
    assert.deepEqual(await checksOf('PostMaster@lab.test.example'), ['postmaster'])
    assert.deepEqual(await checksOf('postmasters@lab.test.example'), [])
    assert.deepEqual(await checksOf('postmaster@elsewhere.example'), ['rcpthosts'])
  })

  it('names what is behind a refusal of the session itself, whatever a rule makes of its words', async () => {
    const ruleOf = async (verb: string, check: string, world: World): Promise<string | undefined> =>
      stepOf(await explained(world), verb).findings.find((finding) => finding.check === check)?.rule
    const far = { to: 'x@elsewhere.example' }
    const rcpthosts = 'control/rcpthosts, control/morercpthosts'
    assert.equal(await ruleOf('RCPT', 'rcpthosts', { ...far, rules: ':rcpt::*::553 no' }), rcpthosts)
    const tls = { variables: { UCSPITLS: '!' } }
    assert.equal(await ruleOf('MAIL', 'starttls', tls), 'UCSPITLS, control/tcprules/smtp :')
  })

  it('says where the connection is closed, with a word or without', async () => {
    const closing = async (rules: string): Promise<readonly boolean[]> =>
      (await explained({ rules })).map(({ closes }) => closes)
    assert.deepEqual(await closing(':mail::*:1:\n'), [false, false, true])
    assert.deepEqual(await closing(''), [false, false, false, false, false])
  })

  it('goes to the end of a message that is there, and asks about it', async () => {
    const asked: string[] = []
    const check =
      (result: string): ContentCheck =>
      ({ facts, tell }) => ({
        header: ({ fields }) => void asked.push(`${facts.sender} ${fields.map(({ name }) => name).join()}`),
        body: (bytes) => void asked.push(bytes.toString('latin1')),
        verdict() {
          tell({ check: 'colour', rule: 'a test', text: result })
          return Promise.resolve(
            result === 'red'
              ? failed(permanent('7.1', 'not in red'))
              : done({ head: `X-Colour: ${result}\n`, params: noParams }),
          )
        },
        abandon: () => undefined,
      })
    const text = 'From: a@b\r\nSubject: x\n\n.dot\nno end'
    const end = stepOf(await explained({ text, checks: [check('green')] }), '.')
    assert.equal(end.reply, 'it would be accepted')
    assert.deepEqual(
      end.findings.map(({ check: name, text: found }) => `${name}: ${found}`),
      ['colour: green', 'head: would put on top: X-Colour, Received'],
    )
    assert.deepEqual(asked, ['a@b.test from,subject', '.dot\nno end\n'])
    const refused = stepOf(await explained({ text, checks: [check('red'), check('green')] }), '.')
    assert.equal(refused.reply, '554 5.7.1 not in red (#5.7.1)')
    assert.deepEqual(
      refused.findings.map(({ check: name }) => name),
      ['colour'],
    )
    const loop = await explained({ text: `${'Received: x\n'.repeat(100)}\n` })
    assert.match(stepOf(loop, '.').reply, /^554 .*too many hops/)
    assert.equal(
      (await explained({ text, to: 'x@elsewhere.example' })).some(({ command }) => command === '.'),
      false,
      'nothing is sent to nobody',
    )
  })

  it('names the variable that keeps filters from being known', async () => {
    const ruleOf = async (variables: Readonly<Record<string, string>>): Promise<string | undefined> =>
      stepOf(await explained({ variables }), 'DATA').findings.find(({ check }) => check === 'filters')?.rule
    assert.equal(await ruleOf({ QMAILQUEUE: '' }), 'QMAILQUEUE')
    assert.equal(await ruleOf({ QMAILQUEUE: 'qmail-qfilter-queue', QMAILQUEUEFILTERS: 'none' }), 'QMAILQUEUEFILTERS')
    assert.equal(await ruleOf({ QMAILQUEUE: '', QMAILQUEUEFILTERS: 'none' }), 'QMAILQUEUE')
  })
})
