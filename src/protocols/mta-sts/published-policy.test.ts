import assert from 'node:assert/strict'
import { it } from 'node:test'
import { policyText, readPublishedPolicy } from './published-policy.ts'

it('a line of control/mtasts has a mode, and may have a life and other exchangers', () => {
  assert.deepEqual(readPublishedPolicy('testing'), { mode: 'testing', maxAge: 86_400, exchangers: [] })
  assert.deepEqual(readPublishedPolicy('enforce'), { mode: 'enforce', maxAge: 604_800, exchangers: [] })
  assert.deepEqual(readPublishedPolicy('enforce:3600:MX2.example.net, *.backup.example'), {
    mode: 'enforce',
    maxAge: 3600,
    exchangers: ['mx2.example.net', '*.backup.example'],
  })
  assert.deepEqual(readPublishedPolicy('none::a.example')?.maxAge, 86_400)
  const bad = ['', 'Enforce', 'enforced', 'enforce:-1', 'enforce:1h', 'enforce:31557601', 'enforce:1:a_b.example']
  for (const one of [
    ...bad,
    'enforce:1:localhost',
    'enforce:1:a.example:x',
    'enforce:1:*.*.example',
    'enforce:1:a\r\nmx: evil.test',
  ])
    assert.equal(readPublishedPolicy(one), undefined, one)
})

it('the policy has this host first, and lines that end in CRLF', () => {
  const policy = { mode: 'enforce', maxAge: 604_800, exchangers: ['mx2.example.net'] } as const
  assert.equal(
    policyText(policy, 'mail.example.org'),
    'version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: mx2.example.net\r\nmax_age: 604800\r\n',
  )
})
