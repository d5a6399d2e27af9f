import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explicit, implicit, integer, octetString, sequence } from '../x509/der.ts'
import { elementsOf } from '../x509/der-reader.ts'
import { extension } from '../x509/extensions.ts'
import { renewalIdOf, renewalMoment, retryDelay, windowAskedAgain } from './renewal.ts'

const hour = 3_600_000
const day: number = 24 * hour

describe('when a certificate is renewed', () => {
  const validity = { fromMs: 0, toMs: 90 * day }

  it('in the window of the authority, whatever the life', () => {
    const window = { fromMs: 10 * day, toMs: 12 * day }
    assert.deepEqual(
      [0, 0.5, 1].map((dice) => renewalMoment(validity, window, dice) / day),
      [10, 11, 12],
    )
  })

  it('without one when a third of the life is left, spread over a twentieth', () => {
    assert.deepEqual(
      [0, 1].map((dice) => Math.round(renewalMoment(validity, undefined, dice) / hour)),
      [60 * 24, 55.5 * 24],
    )
  })

  it('the window is asked for again after six hours, or as the authority says, but not all the time', () => {
    assert.deepEqual([undefined, 1000, 3 * hour, 9 * day].map(windowAskedAgain), [6 * hour, hour, 3 * hour, day])
  })
})

it('attempts that fail come less and less often; a no is never asked again within the hour, by more than a tenth', () => {
  const hours = (isAway: boolean): number[] =>
    [1, 2, 3, 4, 5, 6, 60].map((failures) => Math.round((retryDelay(failures, isAway, 0.5) / hour) * 100) / 100)
  assert.deepEqual(hours(false), [1, 2, 4, 8, 16, 24, 24])
  assert.deepEqual(hours(true), [0.17, 0.33, 0.67, 1.33, 2.67, 5.33, 6])
  assert.equal(retryDelay(1, false, 0), 0.9 * hour)
})

describe('the id of a certificate (RFC 9773 §4.1)', () => {
  const certificate = (...extensions: Buffer[]): Buffer =>
    sequence(
      sequence(
        explicit(0, integer(Buffer.of(2))),
        integer(Buffer.from('87654321', 'hex')),
        sequence(),
        explicit(3, sequence(...extensions)),
      ),
    )
  const keyIdentifier = extension(
    '2.5.29.35',
    false,
    sequence(implicit(0, Buffer.from('69885b6b87464041e1b37b847ba0ae2cde01c8d4', 'hex'))),
  )

  it('is that of its example', () => {
    assert.equal(renewalIdOf(certificate(keyIdentifier)), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
    const constraints = extension('2.5.29.19', true, sequence())
    assert.equal(renewalIdOf(certificate(constraints, keyIdentifier)), 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  })

  it('is none without the authority’s key, or where nothing can be read', () => {
    assert.equal(renewalIdOf(certificate()), undefined)
    assert.equal(renewalIdOf(Buffer.from('not DER')), undefined)
    const whole = certificate(keyIdentifier)
    for (let length = 0; length < whole.length; length++)
      assert.equal(renewalIdOf(whole.subarray(0, length)), undefined)
  })
})

it('DER that lies about its lengths is none', () => {
  assert.deepEqual(
    elementsOf(octetString(Buffer.of(1)))?.map(({ tag }) => tag),
    [0x04],
  )
  for (const bad of ['04', '0402ff', '0480ff', '0485ffffffffff', '1f8101', '04847fffffff00'])
    assert.equal(elementsOf(Buffer.from(bad, 'hex')), undefined, bad)
})
