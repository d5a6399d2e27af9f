import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeInstructions, encodeInstructions, parseRules } from './tcprules.ts'
import { decideByRules, type RuleBase, ruleBase, type RuleDecision, type RulePeer } from './tcprules-lookup.ts'

/** A cdb without a file: of equal keys the first counts. */
function baseOf(text: string): RuleBase {
  const records = new Map<string, string>()
  const { rules, faults } = parseRules(text)
  assert.deepEqual(faults, [])
  for (const rule of rules)
    for (const key of rule.keys) if (!records.has(key)) records.set(key, encodeInstructions(rule))
  return ruleBase(records.keys(), (key) => records.get(key))
}

function decide(text: string, peer: RulePeer): RuleDecision {
  return decideByRules(baseOf(text), peer)
}

describe('parsing', () => {
  it('takes any quote, colons in values, several variables, and variables of a deny', () => {
    const { rules, faults } = parseRules('1.2.3.4:allow,A="b:c",D=/x"y/,E=""\n:deny,WHY="no"  \t\n')
    assert.deepEqual(faults, [])
    assert.deepEqual(rules, [
      {
        line: 1,
        keys: ['1.2.3.4'],
        verdict: 'allow',
        variables: [
          ['A', 'b:c'],
          ['D', 'x"y'],
          ['E', ''],
        ],
      },
      { line: 2, keys: [''], verdict: 'deny', variables: [['WHY', 'no']] },
    ])
  })

  it('passes over comments, empty lines and, with their numbers, lines without a colon', () => {
    const idle = [{ line: 4, reason: 'says nothing: it has no colon' }]
    assert.deepEqual(parseRules('# x:allow\n\n   \nnonsense\n'), { rules: [], faults: [], idle })
  })

  it('takes brackets around an IPv6 address for nothing', () => {
    const keys = (address: string): readonly string[] | undefined => parseRules(`${address}:allow`).rules[0]?.keys
    assert.deepEqual(keys('[::1]'), ['::1'])
    assert.deepEqual(keys('[2001:DB8::]/32'), keys('2001:db8::/32'))
    assert.deepEqual(keys('joe@[2001:db8:0::7]'), ['joe@2001:db8::7'])
  })

  it('points out rules that match nobody, and no others', () => {
    const nobody =
      '127 1.2.3 1.2.3.4.5 192.0.2.256 *|10.* host.example localhost ::ffff:192.0.2.1 ::ffff:192.0.2.0/120 1.2.3.5-4 1.2-3.4-5 joe@host'
    for (const address of [...nobody.split(/[ |]/), ' 1.2.3.4', '1.2.3.4 '])
      assert.deepEqual(
        parseRules(`:deny\n${address}:allow`).idle.map(({ line }) => line),
        [2],
        address,
      )
    const somebody =
      '127. 10.1. 1.2.3. 1.2.3.4 ::1 [::1] 2001:DB8:: 2001:0db8: 2001:db8:5: fe80::1%eth0 10.2-3. 1.2.3.250-300 192.0.2.0/24 ::/0 joe@1.2.3.4 joe@=x joe@::1 = =x =.x'
    for (const address of ['', ...somebody.split(' ')])
      assert.deepEqual(parseRules(`${address}:allow`).idle, [], address)
    assert.equal(parseRules('::ffff:192.0.2.1:allow').idle[0]?.reason, 'matches nobody: write 192.0.2.1')
  })

  it('expands ranges as tcprules does', () => {
    const keys = (address: string): readonly string[] | undefined => parseRules(`${address}:allow`).rules[0]?.keys
    assert.deepEqual(keys('192.0.2.1-3'), ['192.0.2.1', '192.0.2.2', '192.0.2.3'])
    assert.deepEqual(keys('10.2-3.'), ['10.2.', '10.3.'])
    assert.deepEqual(keys('1.2-3.4-5'), ['1.2.4-5', '1.3.4-5'])
    assert.deepEqual(keys('1.2.3.254-300'), ['1.2.3.254', '1.2.3.255'])
    assert.deepEqual(keys('1.2.3.5-4'), [])
    assert.deepEqual(keys('joe@1.2.3.1-2'), ['joe@1.2.3.1-2'])
    assert.deepEqual(keys('=host-1-2.example'), ['=host-1-2.example'])
  })

  it('names the line that is wrong', () => {
    const wrong = [
      '1.2.3.4:',
      '1.2.3.4:alow',
      '1.2.3.4: allow',
      '1.2.3.4:ALLOW',
      '1.2.3.4:allow,',
      '1.2.3.4:allow,X',
      '1.2.3.4:allow,X=',
      '1.2.3.4:allow,X="',
      '1.2.3.4:allow,X="a"b',
      '1.2.3.4:allow,X="a",',
      '1.2.3.4:allowX="a"',
      '1.2.3.4:allow X="a"',
      '1.2.3.4:denyfoo',
      'a-b:allow',
      '1-2-3:allow',
      '192.0.2.0/33:allow',
      '2001:db8::/129:allow',
      'x/24:allow',
      '1.2.3.4:allow,X="\0"',
    ]
    const { rules, faults } = parseRules(wrong.join('\n'))
    assert.deepEqual(rules, [])
    assert.deepEqual(
      faults.map(({ line }) => line),
      wrong.map((_, index) => index + 1),
    )
  })

  it('points out a variable that is no number where one is needed', () => {
    const { rules, idle } = parseRules(
      ['DATABYTES="50M"', 'DATABYTES=""', 'DATABYTES="5 apples"', 'GREETDELAY="2s"', 'GREETDELAY="soon"']
        .map((setting) => `:allow,${setting}\n`)
        .join(''),
    )
    assert.equal(rules.length, 5)
    assert.deepEqual(
      idle.map(({ line }) => line),
      [3, 5],
    )
  })

  it('the data of a rule reads back', () => {
    const plain = fc.string({ maxLength: 8 }).filter((text) => !text.includes('\0'))
    const name = plain.filter((text) => text !== '' && !text.includes('='))
    fc.assert(
      fc.property(fc.boolean(), fc.array(fc.tuple(name, plain), { maxLength: 4 }), (denies, variables) => {
        const instructions = { verdict: denies ? 'deny' : 'allow', variables } as const
        assert.deepEqual(decodeInstructions(encodeInstructions(instructions)), instructions)
      }),
    )
  })
})

describe('lookup', () => {
  it('the first key that is there decides, in tcpserver’s order', () => {
    const order = ['joe@192.0.2.7', 'joe@=a.b.example', '192.0.2.7', '=a.b.example', '192.0.2.', '192.0.', '192.']
    order.push('192.0.2.0/25', '192.0.0.0/16', '=.b.example', '=.example', '=', '')
    const peer = { ip: '192.0.2.7', host: 'a.b.example', info: 'joe' }
    for (let from = 0; from < order.length; from++) {
      const rules = order.slice(from).map((address) => `${address}:allow,WHICH="${address}"`)
      for (const text of [rules.join('\n'), rules.reverse().join('\n')])
        assert.deepEqual(decide(text, peer).variables, [['WHICH', order[from]]])
    }
  })

  it('without a rule a peer is allowed', () => {
    assert.deepEqual(decide('1.2.3.4:deny', { ip: '1.2.3.5' }), { key: undefined, verdict: 'allow', variables: [] })
  })

  it('of equal lines the first counts', () => {
    assert.equal(decide('1.2.3.4:deny\n1.2.3.4:allow', { ip: '1.2.3.4' }).verdict, 'deny')
  })

  it('host names are looked at only where one is known', () => {
    const text = '=:allow,NAMED=""\n:deny'
    assert.equal(decide(text, { ip: '1.2.3.4' }).verdict, 'deny')
    assert.equal(decide(text, { ip: '1.2.3.4', host: 'x' }).verdict, 'allow')
  })

  it('IPv6: any spelling of an address, prefixes of whole groups, networks, mapped peers', () => {
    const text = [
      '2001:0DB8:0:0::5:allow,W="address"',
      '2001:db8:0:1::allow,W="prefix"',
      '2001:db8::/32:allow,W="network"',
      '2001:db8:ff00::/40:allow,W="longer"',
      '192.0.2.1:allow,W="ipv4"',
      '::/0:deny',
      '0.0.0.0/0:deny,W="ipv4 default"',
    ].join('\n')
    const which = (ip: string): string => decide(text, { ip }).variables[0]?.[1] ?? ''
    assert.equal(which('2001:db8::5'), 'address')
    assert.equal(which('2001:db8:0:1::9'), 'prefix')
    assert.equal(which('2001:db8:0:2::9'), 'network')
    assert.equal(which('2001:db8:ffff::1'), 'longer')
    assert.equal(which('::ffff:192.0.2.1'), 'ipv4')
    assert.equal(which('192.0.2.2'), 'ipv4 default')
    assert.equal(decide(text, { ip: 'fe80::1%eth0' }).verdict, 'deny')
  })

  it('reads ucspi-tcp6’s keys: padded addresses, bits of networks', () => {
    const records = new Map([
      ['2001:0db8:0000:0000:0000:0000:0000:0005', ''],
      [`^${'0010000000000001'.padEnd(16, '0')}`, 'D\0'],
    ])
    const base = ruleBase(records.keys(), (key) => records.get(key))
    assert.equal(decideByRules(base, { ip: '2001:db8::5' }).verdict, 'allow')
    assert.equal(decideByRules(base, { ip: '2001:db8::6' }).verdict, 'deny')
  })

  it('names of hosts have no case, in rules and of clients', () => {
    const text = '=Mail.Upper.test:deny\n=.Dialup.TEST:deny\njoe@=PC.test:deny\n:allow'
    const key = (host: string, info?: string): string | undefined => decide(text, { ip: '192.0.2.1', host, info }).key
    assert.equal(key('mail.upper.test'), '=Mail.Upper.test')
    assert.equal(key('MAIL.upper.test'), '=Mail.Upper.test')
    assert.equal(key('a.b.dialup.test'), '=.Dialup.TEST')
    assert.equal(key('pc.test', 'joe'), 'joe@=PC.test')
    assert.equal(key('pc.test', 'Joe'), '')
    const both = '=A.test:deny\n=a.test:allow'
    assert.deepEqual([decide(both, { ip: '::2', host: 'A.test' }).key], ['=a.test'])
  })

  it('a network holds exactly the addresses that share its bits', () => {
    const byte = fc.nat({ max: 255 })
    const ip = fc.tuple(byte, byte, byte, byte)
    const number = (bytes: readonly number[]): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
    fc.assert(
      fc.property(ip, fc.oneof(ip, fc.constant(undefined)), fc.nat({ max: 32 }), (network, other, length) => {
        const peer = other ?? network
        const shift = BigInt(32 - length)
        const inside = number(network) >> shift === number(peer) >> shift
        const { verdict } = decide(`${network.join('.')}/${length}:deny`, { ip: peer.join('.') })
        assert.equal(verdict, inside ? 'deny' : 'allow')
      }),
    )
  })
})
