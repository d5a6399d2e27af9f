import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCommand } from '../spp/command.ts'
import { receivedSpf, spfComment, spfExplanation, type SpfResult } from './received-spf.ts'
import { spfCommands, type SpfFindings, spfQuestion } from './spp.ts'

const subject = { ip: '192.0.2.1', sender: 'a@from.test', helo: 'mx.from.test' }

describe('Received-SPF', () => {
  const comments: Record<SpfResult, string> = {
    pass: 'domain of a@from.test designates 192.0.2.1 as permitted sender',
    fail: 'domain of a@from.test does not designate 192.0.2.1 as permitted sender',
    softfail: 'transitioning domain of a@from.test does not designate 192.0.2.1 as permitted sender',
    neutral: '192.0.2.1 is neither permitted nor denied by domain of a@from.test',
    none: 'domain of a@from.test does not provide an SPF record',
    temperror: 'error in processing during lookup of a@from.test',
    permerror: 'error in processing during lookup of a@from.test',
  }
  for (const [result, comment] of Object.entries(comments) as [SpfResult, string][]) {
    it(`${result} in the documented form`, () => {
      assert.equal(
        receivedSpf({ ...subject, result, receiver: 'us.test' }),
        `Received-SPF: ${result} (us.test: ${comment}) client-ip=192.0.2.1; envelope-from=a@from.test; helo=mx.from.test;`,
      )
    })
  }
  it('an empty sender is the postmaster of HELO', () => {
    assert.match(
      receivedSpf({ ...subject, sender: '', result: 'none', receiver: 'us.test' }),
      /domain of postmaster@mx\.from\.test does not .* envelope-from=postmaster@mx\.from\.test; helo=mx\.from\.test;$/,
    )
  })
  it('a hostile name stays inside its place, on one line of bounded length', () => {
    const field = receivedSpf({
      result: 'pass',
      receiver: 'us.test',
      ip: '192.0.2.1',
      sender: `"a) b\r\nX: y"${'x'.repeat(2000)}@from.test`,
      helo: '[1.2.3.4]',
    })
    assert.doesNotMatch(field, /[^ -~]/)
    assert.match(field, /\(us\.test: domain of "a\\\) b\?\?X: y"x+\.\.\. designates/)
    assert.match(field, /envelope-from="\\"a\) b\?\?X: y\\"x+\.\.\."; helo="\[1\.2\.3\.4\]";$/)
    assert.ok(field.length < 998, `${field.length}`)
  })
})

describe('the explanation', () => {
  it("is the domain's own words, marked as such, printable and short", () => {
    assert.equal(
      spfExplanation({ ...subject, result: 'fail' }, `see\r\nme${'y'.repeat(900)}`),
      `from.test explains: see??me${'y'.repeat(900)}`.slice(0, 300),
    )
  })
  it('is the comment where the domain says nothing', () => {
    for (const nothing of [undefined, '', ' ']) {
      assert.equal(spfExplanation({ ...subject, result: 'fail' }, nothing), spfComment({ ...subject, result: 'fail' }))
    }
  })
})

describe('the question', () => {
  it('is not asked for relay clients, nor about nobody', () => {
    const address = ['TCPREMOTEIP', '192.0.2.1'] as const
    assert.equal(spfQuestion(new Map([address, ['RELAYCLIENT', '']]), 'a@b', 'h'), undefined)
    assert.equal(spfQuestion(new Map(), 'a@b', 'h'), undefined)
    assert.equal(spfQuestion(new Map([address]), '', ''), undefined)
  })
  it('carries what the settings need', () => {
    assert.deepEqual(spfQuestion(new Map([['TCP6REMOTEIP', '2001:db8::1']]), '', 'h'), {
      ip: '2001:db8::1',
      helo: 'h',
      sender: '',
      bestGuess: false,
      refuseOpenPass: false,
    })
    const settings = new Map([
      ['TCPREMOTEIP', '192.0.2.1'],
      ['SPP_SPF_MX_RESULT_FAIL', 'E550 no'],
      ['SPP_SPF_DONT_ALLOW_RANDOM_IP_PASS', '1'],
    ])
    const question = spfQuestion(settings, 'a@b', 'h')
    assert.deepEqual([question?.bestGuess, question?.refuseOpenPass], [true, true])
  })
})

describe('the commands', () => {
  const findings = (result: SpfResult, rest: Partial<SpfFindings> = {}): SpfFindings => ({
    result,
    explanation: 'because',
    receivedSpf: 'Received-SPF: x',
    openToAll: false,
    guess: 'not-made',
    ...rest,
  })
  const always = (result: SpfResult): string[] => [`SSPP_SPF_RESULT=${result}`, 'HReceived-SPF: x']
  const commands = (...lines: readonly string[]): unknown[] => lines.map((line) => parseCommand(line))

  it('without settings: result and header, nothing is refused', () => {
    for (const result of ['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror'] as const) {
      assert.deepEqual(spfCommands(findings(result), new Map()), commands(...always(result)))
    }
  })
  it('a setting is commands, separated by commas or newlines', () => {
    const settings = new Map([['SPP_SPF_RESULT_PASS', 'SGL_WHITELISTED=1,\nHX-Ok: yes']])
    assert.deepEqual(
      spfCommands(findings('pass'), settings),
      commands(...always('pass'), 'SGL_WHITELISTED=1', 'HX-Ok: yes'),
    )
    assert.deepEqual(spfCommands(findings('fail'), settings), commands(...always('fail')))
  })
  it('the explanation replaces spf_smtp_msg and never becomes a command', () => {
    const settings = new Map([['SPP_SPF_RESULT_FAIL', 'E550 spf_smtp_msg']])
    const hostile = findings('fail', { explanation: 'no,A\nO,$&spf_smtp_msg' })
    assert.deepEqual(spfCommands(hostile, settings), commands(...always('fail'), 'E550 no,A O,$&spf_smtp_msg'))
  })
  it('a guess counts where there is no verdict', () => {
    const settings = new Map([
      ['SPP_SPF_RESULT_NONE', 'HX-None: 1'],
      ['SPP_SPF_MX_RESULT_PASS', 'SGL_WHITELISTED=1'],
      ['SPP_SPF_MX_RESULT_FAIL', 'E550 spf_smtp_msg'],
      ['SPP_SPF_MX_RESULT_UNKNOWN', 'HX-Unknown: 1'],
    ])
    const after = (result: SpfResult, guess: SpfFindings['guess']): unknown[] =>
      spfCommands(findings(result, { guess }), settings).slice(2)
    assert.deepEqual(after('none', 'pass'), commands('HX-None: 1', 'SGL_WHITELISTED=1'))
    assert.deepEqual(after('temperror', 'fail'), commands('E550 because'))
    assert.deepEqual(after('permerror', 'unknown'), commands('HX-Unknown: 1'))
    assert.deepEqual(after('fail', 'pass'), commands())
    assert.deepEqual(after('softfail', 'fail'), commands())
  })
  it('a pass that everybody gets is passed over: no header, no result, the guess', () => {
    const settings = new Map([
      ['SPP_SPF_RESULT_PASS', 'SGL_WHITELISTED=1'],
      ['SPP_SPF_MX_RESULT_FAIL', 'E550 no'],
    ])
    assert.deepEqual(spfCommands(findings('pass', { openToAll: true, guess: 'fail' }), settings), commands('E550 no'))
  })
  it('no answer: the settings for that, and the guess is unknown', () => {
    const settings = new Map([
      ['SPP_SPF_NO_RESULT', 'HX-No: 1'],
      ['SPP_SPF_MX_RESULT_UNKNOWN', 'HX-Unknown: 1'],
    ])
    assert.deepEqual(spfCommands(undefined, settings), commands('HX-No: 1', 'HX-Unknown: 1'))
    assert.deepEqual(spfCommands(undefined, new Map()), commands())
  })
})
