import assert from 'node:assert/strict'
import { it } from 'node:test'
import { formatPolicy, letsIn, parsePolicy, policyIdAmong, type StsPolicy } from './policy.ts'

function policy(...lines: string[]): StsPolicy | string {
  const parsed = parsePolicy(lines.join('\n'))
  return parsed.kind === 'policy' ? parsed.policy : parsed.why
}

it('takes the id of exactly one whole record', () => {
  const cases: [string[], string | undefined][] = [
    [['v=STSv1; id=20160831085700Z;'], '20160831085700Z'],
    [['v=STSv1;id=a'], 'a'],
    [['v=STSv1 ; id=a ; x=1'], 'a'],
    [['v=spf1 -all', 'v=STSv1; id=a'], 'a'],
    [['v=STSv1; id=a', 'v=STSv1; id=b'], undefined],
    [['v=STSv1; id=a', 'v=STSv1; id=a'], undefined],
    [['v=STSv1; id=a-b'], undefined],
    [[`v=STSv1; id=${'a'.repeat(33)}`], undefined],
    [['v=STSv1; id='], undefined],
    [['v=STSv1;'], undefined],
    [['v=STSv1; id=a; id=b'], undefined],
    [['v=STSv1; id=a; rubbish'], undefined],
    [['v=STSv10; id=a'], undefined],
    [[' v=STSv1; id=a'], undefined],
    [[], undefined],
  ]
  for (const [texts, id] of cases) assert.equal(policyIdAmong(texts), id, texts.join(' | '))
})

it('reads a policy with LF or CRLF, unknown keys, and the first of what is said twice', () => {
  const lines = ['version: STSv1', 'mode: enforce', 'mx: Mail.Example.com', 'mx: *.example.net', 'max_age: 604800']
  const expected = { mode: 'enforce', maxAgeSeconds: 604_800, mx: ['mail.example.com', '*.example.net'] }
  assert.deepEqual(policy(...lines), expected)
  assert.deepEqual(policy(...lines.map((line) => `${line}\r`)), expected)
  assert.deepEqual(policy(...lines, 'mode: none', 'max_age: 1', 'future: yes', 'no key', ''), expected)
})

it('writes a policy as it reads it', () => {
  const written: StsPolicy = { mode: 'testing', maxAgeSeconds: 86_400, mx: ['mx.example.org', '*.example.net'] }
  assert.deepEqual(parsePolicy(formatPolicy(written)), { kind: 'policy', policy: written })
})

it('cuts max_age, and drops an mx that is no name', () => {
  const facts = ['version:STSv1', 'mode:testing', 'max_age:31557601', 'mx:192.0.2.1', 'mx:mx.example.org.', 'mx:*']
  assert.deepEqual(policy(...facts), { mode: 'testing', maxAgeSeconds: 31_557_600, mx: ['mx.example.org'] })
})

it('says why a policy is none', () => {
  const whole = ['version: STSv1', 'mode: enforce', 'max_age: 60', 'mx: a.example']
  const without = (key: string): string[] => whole.filter((line) => !line.startsWith(key))
  const why = (lines: readonly string[]): string => {
    const parsed = parsePolicy(lines.join('\n'))
    return parsed.kind === 'invalid' ? parsed.why : ''
  }
  for (const key of ['version', 'mode', 'max_age', 'mx']) assert.match(why(without(key)), RegExp(key))
  assert.match(why([...without('mx'), 'nmx: a.example']), /'mx'/)
  assert.match(why([...without('max_age'), 'max_age: -1']), /max_age/)
  assert.match(why([...without('mode'), 'mode: Enforce']), /mode/)
  assert.deepEqual(policy('version: STSv1', 'mode: none', 'max_age: 60'), { mode: 'none', maxAgeSeconds: 60, mx: [] })
})

it('lets in whole names, and one label for a wildcard', () => {
  const of = (...mx: string[]): StsPolicy => ({ mode: 'enforce', maxAgeSeconds: 1, mx })
  const wild = of('*.example.com')
  assert.deepEqual(
    ['mail.example.com', 'example.com', 'a.b.example.com', 'mailexample.com'].map((name) => letsIn(wild, name)),
    [true, false, false, false],
  )
  assert.equal(letsIn(of('mail.example.com'), 'mail.example.com'), true)
  assert.equal(letsIn(of('mail.example.com'), 'mail.example.com.evil.test'), false)
  assert.equal(letsIn(of('*.example.com'), '192.0.2.1'), false)
})
