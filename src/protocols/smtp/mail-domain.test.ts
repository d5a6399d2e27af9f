import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasMailDomain } from './mail-domain.ts'

test('domains and literals pass, also those that no host has, and the marks of bounces and VERP', () => {
  for (const address of [
    '',
    'local part > without < domain',
    'a@x.test',
    '"a b"> SIZE=1@x.test',
    'a@x.test.',
    'a@b..c_d',
    'a@b\xc3\xbccher.test',
    'a@[192.0.2.1]',
    'a@[IPv6:2001:db8::1]',
    '#@[]',
    'list-@x.test-@[]',
    'a@',
  ])
    assert.equal(hasMailDomain(address), true, address)
})

test('what the next host could take for something else does not', () => {
  for (const domain of [
    '"x.test> SIZE=77 BODY=8BITMIME"',
    'x.test> SIZE=77',
    'x test',
    'x.test\t',
    'x.test\r\nRCPT TO:<v@y.test>',
    'x.test\0',
    'x.test\x7f',
    '<x.test',
    '[1.2.3.4',
    '1.2.3.4]',
    '[1.2.3.4]x',
    '[1 2]',
    '[a]b]',
    '[a\\]',
    'x.test,y.test',
    'x:y',
    'x(comment)',
    'x\\y',
    'x;y',
  ])
    assert.equal(hasMailDomain(`a@${domain}`), false, domain)
})
