import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { greylistDefaults, greylistTimes, isLogged, planGreylist } from './plan.ts'
import { greylistClient, greylistLine, greylistSender, type Evaluation, evaluate } from './triple.ts'

const times = { minRejectSeconds: 300, maxWaitSeconds: 14_400, acceptGoodSeconds: 3_110_400 }
const at = (seconds: number): number => 1_800_000_000_000 + 1000 * seconds
/** The states of one triple that comes at these seconds. */
function states(...seconds: number[]): string[] {
  let last: Evaluation | undefined
  return seconds.map((second) => {
    last = evaluate(last?.remembered, at(second), times)
    return last.state
  })
}

describe('a client', () => {
  it('is its network: /24, /64', () => {
    for (const [one, other, same] of [
      ['192.0.2.1', '192.0.2.254', true],
      ['192.0.2.1', '::ffff:192.0.2.9', true],
      ['192.0.2.1', '192.0.3.1', false],
      ['2001:db8::1', '2001:db8:0:0:ffff::9', true],
      ['2001:db8::1', '2001:db8:0:1::1', false],
      ['everybody', 'everybody', true],
      ['everybody', 'somebody', false],
    ] as const)
      assert.equal(greylistClient(one) === greylistClient(other), same, `${one} ${other}`)
  })
})

describe('a triple', () => {
  it('is new, then young, then known', () => {
    assert.deepEqual(states(0, 1, 299, 300, 301), ['new', 'young', 'young', 'known', 'known'])
  })
  it('is accepted until the end of the wait, and new again after it', () => {
    assert.deepEqual(states(0, 14_400), ['new', 'known'])
    assert.deepEqual(states(0, 14_401, 14_701), ['new', 'new', 'known'])
  })
  it('coming again while young does not begin the wait anew', () => {
    assert.deepEqual(states(0, 200, 300), ['new', 'young', 'known'])
    assert.equal(evaluate(evaluate(undefined, at(0), times).remembered, at(200), times).untilMs, at(300))
  })
  it('stays known while it is used, and is new after a long silence', () => {
    const days = 86_400
    assert.deepEqual(states(0, 300, 30 * days, 60 * days, 90 * days), ['new', 'known', 'known', 'known', 'known'])
    assert.deepEqual(states(0, 300, 300 + 37 * days), ['new', 'known', 'new'])
  })
  it('stays known when the clock is set back, if it was', () => {
    assert.deepEqual(states(0, 300, -31_536_000, -31_536_001), ['new', 'known', 'known', 'known'])
  })
  it('is not made to wait by a clock that was set back', () => {
    assert.deepEqual(states(1_000_000, 0, 300), ['new', 'new', 'known'])
  })
  it('a maximum wait below the minimum reject shuts nobody out', () => {
    const odd = { ...times, maxWaitSeconds: 10 }
    const first = evaluate(undefined, at(0), odd)
    assert.equal(evaluate(first.remembered, at(300), odd).state, 'known')
  })
})

describe('the key', () => {
  it('knows the messages of an ezmlm list as one sender', () => {
    const sender = greylistSender('List-return-1234-me=here.test@lists.test')
    assert.equal(sender, 'list-return--me=here.test@lists.test')
    assert.equal(greylistSender('list-return-9-me=here.test@lists.test'), sender)
    assert.equal(greylistSender('a-return-b@lists.test'), 'a-return-b@lists.test')
  })
})

describe('the plan', () => {
  const variables = new Map([['TCPREMOTEIP', '192.0.2.1']])
  const facts = { variables, sender: 's@from.test', recipient: 'Bob@Here.Test' }
  const exemptions = { recipients: ['bob@here.test'], hosts: ['there.test'] }

  it('asks with the defaults', () => {
    assert.deepEqual(planGreylist(facts), {
      kind: 'ask',
      ip: '192.0.2.1',
      sender: 's@from.test',
      recipient: 'Bob@Here.Test',
      ...greylistDefaults,
    })
  })
  it('does nothing where GL_WHITELISTED or RELAYCLIENT is set, even empty', () => {
    for (const name of ['GL_WHITELISTED', 'RELAYCLIENT']) {
      const plan = planGreylist({ ...facts, variables: new Map([...variables, [name, '']]) })
      assert.equal(plan.kind === 'skip' && plan.rule, name)
    }
  })
  it('exempts addresses and domains, whole and in any case', () => {
    assert.deepEqual(planGreylist({ ...facts, exemptions }), {
      kind: 'skip',
      rule: 'control/greylist/exemptrcpts',
      logText: 'greylisting skipped for recipient address: Bob@Here.Test',
    })
    assert.deepEqual(planGreylist({ ...facts, recipient: 'x@THERE.test', exemptions }), {
      kind: 'skip',
      rule: 'control/greylist/exemptrcpthosts',
      logText: 'greylisting skipped for recipient domain: THERE.test',
    })
    for (const recipient of ['xbob@here.test', 'x@sub.there.test', 'x@there.test.', 'bob'])
      assert.equal(planGreylist({ ...facts, recipient, exemptions }).kind, 'ask', recipient)
  })
  it('GL_WRAPPER_TCPREMOTEIP stands for every address, if it is not empty', () => {
    const ipWith = (value: string): unknown => {
      const plan = planGreylist({
        ...facts,
        variables: new Map([...variables, ['GL_WRAPPER_TCPREMOTEIP', value]]),
        exemptions: { recipients: [], hosts: [] },
      })
      return plan.kind === 'ask' && plan.ip
    }
    assert.equal(ipWith('0.0.0.0'), '0.0.0.0')
    assert.equal(ipWith(''), '192.0.2.1')
  })
  it('takes times that are whole seconds', () => {
    const set = new Map([
      ['GL_MIN_REJECT', '60'],
      ['GL_MAX_WAIT', 'soon'],
      ['GL_ACCEPT_GOOD', '999999999999'],
    ])
    assert.deepEqual(greylistTimes(set), {
      minRejectSeconds: 60,
      maxWaitSeconds: 14_400,
      acceptGoodSeconds: 315_360_000,
    })
  })
})

describe('the log', () => {
  it("has greylisting-spp's words", () => {
    assert.equal(greylistLine('new', '192.0.2.1', 's@a', 'r@b'), 'Rejecting new triple (192.0.2.1,s@a,r@b)')
    assert.equal(greylistLine('young', '192.0.2.1', '', 'r@b'), 'Rejecting young triple (192.0.2.1,,r@b)')
    assert.equal(greylistLine('known', '192.0.2.1', 's\n', 'r@b'), 'Accepting known triple (192.0.2.1,s?,r@b)')
  })
  it('tells of acceptance only when asked to', () => {
    assert.deepEqual([isLogged('new', new Map()), isLogged('known', new Map())], [true, false])
    assert.equal(isLogged('known', new Map([['GL_VERBOSE', '']])), true)
  })
})
