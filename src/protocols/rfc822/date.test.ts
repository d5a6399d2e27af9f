import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { normalDate } from './date.ts'

const cases: readonly (readonly [value: string, expected: string | undefined])[] = [
  [' Thu, 26 Nov 2026 21:52:33 +0100', '26 Nov 2026 21:52:33 +0100'],
  ['26 Nov 2026 21:52 -0500 (EST)', '26 Nov 2026 21:52:00 -0500'],
  ['1 jan 99 0:00:00 GMT', '1 Jan 1999 00:00:00 +0000'],
  ['1 Jan 49 00:00:00 UT', '1 Jan 2049 00:00:00 +0000'],
  ['1 Jan 50 00:00:00 UT', '1 Jan 1950 00:00:00 +0000'],
  ['1 Jan 104 00:00:00 UT', '1 Jan 2004 00:00:00 +0000'],
  ['26 November 2026 21:52:33 EST', '26 Nov 2026 21:52:33 -0500'],
  ['26-Nov-26 21:52:33 PDT', '26 Nov 2026 21:52:33 -0700'],
  ['26 Nov 2026 21:52:33 HKT', '26 Nov 2026 21:52:33 +0800'],
  ['26 Nov 2026 21:52:33 EET DST', '26 Nov 2026 21:52:33 +0300'],
  ['26 Nov 2026 21:52:33 METDST', '26 Nov 2026 21:52:33 +0200'],
  ['26 Nov 2026 21:52:33 IST', '26 Nov 2026 21:52:33 +0200'],
  ['26 Nov 2026 21:52:33 Z', '26 Nov 2026 21:52:33 +0000'],
  ['26 Nov 2026 21:52:33 XYZ', '26 Nov 2026 21:52:33 -0000'],
  ['26 Nov 2026 21:52:33', '26 Nov 2026 21:52:33 -0000'],
  ['26 Nov 2026 21:52:33 +9999', '26 Nov 2026 21:52:33 -0000'],
  ['Thu Nov 26 21:52:33 2026', '26 Nov 2026 21:52:33 -0000'],
  ['2026-11-26 21:52:33 +0100', '26 Nov 2026 21:52:33 +0100'],
  ['2026-11-26T21:52:33Z', '26 Nov 2026 21:52:33 +0000'],
  ['Thu,\n 26 Nov\n 2026 21:52:33 +0100', '26 Nov 2026 21:52:33 +0100'],
  ['31 Feb 2026 00:00:00 +0000', undefined],
  ['29 Feb 2025 00:00:00 +0000', undefined],
  ['29 Feb 2024 00:00:00 +0000', '29 Feb 2024 00:00:00 +0000'],
  ['26 Nov 2026 24:00:00 +0000', undefined],
  ['31 Dec 2016 23:59:60 +0000', '31 Dec 2016 23:59:60 +0000'],
  ['26 Nov 2026', undefined],
  ['yesterday', undefined],
  ['', undefined],
]
for (const [value, expected] of cases) test(JSON.stringify(value), () => assert.equal(normalDate(value), expected))

test('anything else is a date in its normal form, or none', () => {
  const word = fc.constantFrom('26', 'Nov', '2026', '21:52', ':', '-', '+0100', 'T', '(', ',', '"', '[', 'DST', '1-1-1')
  const text = fc.array(fc.oneof(word, fc.string({ maxLength: 4 })), { maxLength: 12 }).map((words) => words.join(' '))
  fc.assert(
    fc.property(text, (value) => {
      const found = normalDate(value)
      if (found === undefined) return
      assert.match(found, /^\d{1,2} [A-Z][a-z]{2} \d{1,4} \d\d:\d\d:\d\d [+-]\d{4}$/)
      assert.equal(normalDate(found), found)
    }),
  )
})
