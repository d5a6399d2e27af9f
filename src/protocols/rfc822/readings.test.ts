import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { everyReading } from './readings.ts'

const own = 'anna@lab.example'
const foreign = 'ceo@bank.example'

/** Whether anybody but the owner could be read there. */
function names(value: string): 'own' | 'foreign' | 'nobody' {
  const readings = everyReading(value)
  if (readings.length === 0) return 'nobody'
  return readings.every((address) => address === own) ? 'own' : 'foreign'
}

describe('everybody reads the owner alone in', () => {
  for (const value of [
    own,
    `Anna <${own}>`,
    `"Doe, Anna" <${own}>`,
    `"${foreign}" <${own}>`,
    `Anna (${foreign}) <${own}>`,
    `"Anna \\"A\\" Doe" <${own}>`,
    `[Org] Anna <${own}>`,
    `${own} <${own}>`,
    `"Anna <${own}>`,
    `Anna <${own}`,
    `anna @ lab . example`,
    `"anna"@lab.example`,
    `anna(x)@(y)lab.example`,
    `<@relay.example:${own}>`,
    `=?utf-8?Q?Doe,_Anna?= <${own}>`,
    `=?utf-8?Q?${own}?= <${own}>`,
    `=?utf-8?Q?anna=40lab.example=2C?= <${own}>`,
    `=?iso-2022-jp?B?GyRCQERMWiEkGyhC?= <${own}>`,
    `=?unknown-8bit?Q?Anna,_D?= <${own}>`,
    `\x1b$B@DLZ\x1b(B <${own}>`,
    `friends: ${own};`,
  ])
    it(JSON.stringify(value), () => assert.equal(names(value), 'own'))
})

describe('somebody could read another’s address in', () => {
  for (const value of [
    foreign,
    `${own}, "b" <${foreign}>`,
    `${foreign} <${own}>`,
    `${foreign} Anna <${own}>`,
    `${own} ${foreign}`,
    `<${own}> ${foreign}`,
    `"Anna <${own}>, <${foreign}>`,
    `"Anna <${own}> ceo @ bank.example`,
    `Anna (<${own}> ${foreign}`,
    `"a\\" <${own}> "b" <${foreign}>`,
    `(a \\) ${foreign}, (b)) <${own}>`,
    `(a (b) ${foreign}, c) <${own}>`,
    `<${foreign}:${own}>`,
    `${foreign}: ${own};`,
    `<${own}@bank.example>`,
    `"${foreign} x"@lab.example`,
    `"anna-, ${foreign}, "@lab.example`,
    `"x"${foreign}`,
    `ceo(x)@(y)bank.example <${own}>`,
    `[${foreign}] <${own}>`,
    `=?utf-8?Q?${foreign}?= <${own}>`,
    `=?utf-8?Q?ceo=40bank.example_via_Docs?= <${own}>`,
    `=?utf-8?Q?ceo=40bank.example?= (<${own}>`,
    `<${own}> =?utf-8?Q?ceo=40bank.example?=`,
    `<${own}> "${foreign}"`,
    `"${foreign}", <${own}>`,
    `=?utf-8?Q?Boss,${foreign},?= <${own}>`,
    `=?utf-8?Q?ceo=40bank.example=2C?= <${own}>`,
    `=?utf-8?Q?Boss_=3Cceo=40bank.example=3E?= <${own}>`,
    `=?utf-8?B?${Buffer.from(`${foreign}\0`).toString('base64')}?= <${own}>`,
    `=?utf-8?Q?ceo?= =?utf-8?Q?=40bank.example=2C?= <${own}>`,
    `"=?utf-8?Q?<ceo=40bank.example>?=" <${own}>`,
    `=?utf-16be?B?${Buffer.from(`${foreign},`, 'utf16le').swap16().toString('base64')}?= <${own}>`,
    `${foreign}\x0c<${own}>`,
    `=?utf-8?Q?an?= =?utf-8?Q?na=40bank.example?= <${own}>`,
    `=?utf-8?Q?an?= x =?utf-8?Q?na=40lab.example?= <${own}>`,
    `j. ${own}`,
    '<an na@lab.example>',
    `anna+=?utf-8?Q?ceo=40bank.example=00?=@lab.example`,
    `friends: ${own}, ${foreign};`,
    'ceo@bank',
  ])
    it(JSON.stringify(value), () => assert.equal(names(value), 'foreign'))
})

describe('nobody reads an address in', () => {
  for (const value of ['', '(me)', '<>', 'group:;', '@dom', '<@dom>', 'Jane Doe', '"Jane <jane>', 'joe', '@'])
    it(JSON.stringify(value), () => assert.equal(names(value), 'nobody'))
})

it('costs work that grows with its length', () => {
  for (const unit of ['@', 'a@', 'a', ' ', '(', '"', '=?', '=?a?q?', '=?a?q?=40?=', '. ', '\\', '<a@b.c>'])
    everyReading(unit.repeat(Math.ceil(100_000 / unit.length)))
})
