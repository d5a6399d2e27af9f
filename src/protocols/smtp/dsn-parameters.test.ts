import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dsnOfMail, dsnOfRecipient } from './dsn-parameters.ts'

const all = new Map([...dsnOfMail, ...dsnOfRecipient])

test('what is kept of each parameter of RFC 3461, and what is malformed', () => {
  const long = 'x'.repeat(501)
  for (const [name, value, kept] of [
    ['RET', 'full', 'FULL'],
    ['RET', 'HDRS', 'HDRS'],
    ['RET', '', undefined],
    ['RET', 'BODY', undefined],
    ['ENVID', 'QQ314159', 'QQ314159'],
    ['ENVID', 'a+3Db', 'a+3Db'],
    ['ENVID', '', undefined],
    ['ENVID', 'a+', undefined],
    ['ENVID', 'a+4', undefined],
    ['ENVID', 'a+0D+0A', undefined],
    ['ENVID', '+7F', undefined],
    ['ENVID', 'x'.repeat(101), undefined],
    ['NOTIFY', 'never', 'NEVER'],
    ['NOTIFY', 'Success,FAILURE,delay', 'SUCCESS,FAILURE,DELAY'],
    ['NOTIFY', 'NEVER,FAILURE', undefined],
    ['NOTIFY', 'FAILURE,FAILURE', undefined],
    ['NOTIFY', 'FAILURE,', undefined],
    ['NOTIFY', '', undefined],
    ['ORCPT', 'rfc822;a+40b', 'rfc822;a+40b'],
    ['ORCPT', 'x-local;a', 'x-local;a'],
    ['ORCPT', 'a@b', undefined],
    ['ORCPT', ';a', undefined],
    ['ORCPT', 'rf c;a', undefined],
    ['ORCPT', 'rfc822;a+00', undefined],
    ['ORCPT', `rfc822;${long}`, undefined],
  ] as const)
    assert.equal(all.get(name)?.(value), kept, `${name}=${value}`)
})
