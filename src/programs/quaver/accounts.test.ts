import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatBytes, parseSize } from './bytes.ts'
import { caaRecords, domainRecords, policyRecords, hostRecords, privateAddresses, zoneLine } from './dns-records.ts'
import { passwdLines } from './account-export.ts'
import { describeUse } from './account-quota.ts'
import { parsePasswordHash } from '../../system/password-hash.ts'
import { mailServices, servicesIn } from './mail-services.ts'

describe('sizes', () => {
  for (const [text, bytes] of [
    ['1', 1],
    ['500M', 524_288_000],
    ['2G', 2_147_483_648],
    ['2g', 2_147_483_648],
    ['1GiB', 1_073_741_824],
    ['3KB', 3072],
    ['2 G', 2_147_483_648],
  ] as const)
    it(`${text} is ${bytes} bytes`, () => assert.equal(parseSize(text), bytes))
  for (const bad of ['', '0', '-1', '1.5G', '2X', 'G', '99999999999T', 'none'])
    it(`refuses ${JSON.stringify(bad)}`, () => assert.throws(() => parseSize(bad), { name: 'CommandError', code: 2 }))
  it('are shown in a unit that a person can read', () => {
    assert.deepEqual([0, 1023, 1024, 1536, 2 ** 31, 2 ** 52].map(formatBytes), [
      '0 bytes',
      '1023 bytes',
      '1 KiB',
      '1.5 KiB',
      '2 GiB',
      '4096 TiB',
    ])
  })
  it('of a mailbox say use and limits', () => {
    const used = { bytes: 1024, messages: 1 }
    assert.equal(describeUse({ quota: null, used }), '1 KiB in 1 message, no quota')
    assert.equal(
      describeUse({ quota: { bytes: 2048, messages: 10 }, used }),
      '1 KiB in 1 message, of 2 KiB and 10 messages',
    )
    assert.equal(describeUse({ quota: null, used: null }), 'use unknown, no quota')
  })
})

describe('DNS records', () => {
  const addresses = [
    '192.168.1.5',
    '93.184.216.34',
    '2606:2800:220:1::1',
    'fe80::1',
    'fd00::2',
    '100.64.0.9',
    '10.0.0.1',
  ]
  const facts = {
    host: 'mail.example.org',
    addresses,
    relay: undefined,
    services: mailServices,
    keys: [],
    reportAddress: undefined,
  }

  it('say where mail goes, who sends, and what mail programs look for', () => {
    assert.deepEqual(domainRecords('example.org', facts).map(zoneLine), [
      'example.org. 3600 IN MX 10 mail.example.org.',
      'example.org. 3600 IN TXT "v=spf1 mx ~all"',
      '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none"',
      '_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mail.example.org.',
      '_submission._tcp.example.org. 3600 IN SRV 10 1 587 mail.example.org.',
      '_pop3s._tcp.example.org. 3600 IN SRV 0 1 995 mail.example.org.',
      '_pop3._tcp.example.org. 3600 IN SRV 10 1 110 mail.example.org.',
      '_imaps._tcp.example.org. 3600 IN SRV 0 0 0 .',
      '_imap._tcp.example.org. 3600 IN SRV 0 0 0 .',
    ])
  })
  it('ask for reports where somebody takes them, and say that he does', () => {
    const of = (reportAddress: string): string[] =>
      domainRecords('example.org', { ...facts, reportAddress })
        .map(zoneLine)
        .filter((line) => line.includes('DMARC1'))
    const policy = (address: string): string =>
      `_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:${address}"`
    assert.deepEqual(of('dmarc-reports@mail.example.org'), [policy('dmarc-reports@mail.example.org')])
    assert.deepEqual(of('r@mx.other.test'), [
      policy('r@mx.other.test'),
      'example.org._report._dmarc.mx.other.test. 3600 IN TXT "v=DMARC1"',
    ])
  })
  it('name a service that is not offered as such, and one that is at its port', () => {
    const services = [
      { name: 'submission', use: 'sending', title: 'submission', port: 2587, security: 'STARTTLS' },
    ] as const
    const lines = domainRecords('example.org', { ...facts, services }).map(zoneLine)
    assert.deepEqual(lines.slice(3), [
      '_submission._tcp.example.org. 3600 IN SRV 10 1 2587 mail.example.org.',
      '_submissions._tcp.example.org. 3600 IN SRV 0 0 0 .',
      '_pop3s._tcp.example.org. 3600 IN SRV 0 0 0 .',
      '_pop3._tcp.example.org. 3600 IN SRV 0 0 0 .',
      '_imaps._tcp.example.org. 3600 IN SRV 0 0 0 .',
      '_imap._tcp.example.org. 3600 IN SRV 0 0 0 .',
    ])
  })
  it('of the host hold public addresses alone; private ones are pointed out', () => {
    assert.deepEqual(hostRecords(facts).map(zoneLine), [
      'mail.example.org. 3600 IN A 93.184.216.34',
      'mail.example.org. 3600 IN AAAA 2606:2800:220:1::1',
      'mail.example.org. 3600 IN TXT "v=spf1 a -all"',
    ])
    assert.deepEqual(caaRecords(['mail.example.org'], ['ca.test']).map(zoneLine), [
      'mail.example.org. 3600 IN CAA 0 issue "ca.test"',
    ])
    assert.deepEqual(policyRecords('example.org', 'mail.example.org', 'a policy').map(zoneLine), [
      '_mta-sts.example.org. 3600 IN TXT "v=STSv1; id=1b551587059622f0d62f;"',
      'mta-sts.example.org. 3600 IN CNAME mail.example.org.',
    ])
    assert.deepEqual(privateAddresses(addresses), ['192.168.1.5', 'fd00::2', '100.64.0.9', '10.0.0.1'])
  })
  it('do not name the senders twice where the host is the domain, and rule nobody out behind a relay', () => {
    const same = [...hostRecords(facts), ...domainRecords('mail.example.org', facts)]
    assert.equal(same.filter(({ value }) => value.includes('v=spf1')).length, 1)
    const key = { domain: 'example.org', name: 'q1._domainkey.example.org', record: 'v=DKIM1; p=AA==', signs: true }
    const withKey = domainRecords('example.org', { ...facts, keys: [key, { ...key, domain: 'other.example' }] })
    assert.deepEqual(
      withKey.map(zoneLine).filter((line) => line.includes('_domainkey')),
      ['q1._domainkey.example.org. 3600 IN TXT "v=DKIM1; p=AA=="'],
    )
    const relayed = domainRecords('example.org', { ...facts, relay: 'smart.example' })
    const spf = relayed.find(({ value }) => value.includes('v=spf1'))
    assert.equal(spf?.value, '"v=spf1 mx ?all"')
    assert.match(spf?.note ?? '', /smart\.example/)
  })
})

describe('services for mail programs', () => {
  it('are those that listen, at their ports', () => {
    const listening = { smtp: ['127.0.0.1:2525'], submissions: ['127.0.0.1:2465', '[::1]:2465'], pop3s: ['[::1]:2995'] }
    const { services, onlyLoopback } = servicesIn(listening)
    assert.deepEqual(
      services.map(({ name, port, security }) => [name, port, security]),
      [
        ['submissions', 2465, 'TLS'],
        ['pop3s', 2995, 'TLS'],
      ],
    )
    assert.ok(onlyLoopback)
  })
  it('are for others where one of them listens beyond loopback; what is no address is none', () => {
    assert.equal(servicesIn({ submissions: ['0.0.0.0:465', '[::]:465'] }).onlyLoopback, false)
    assert.deepEqual(servicesIn({ submissions: 'x', pop3: [1], pop3s: [] }).services, [])
  })
})

describe('the export for Dovecot', () => {
  const account = { address: 'anna@example.org', uid: 7, gid: 8, home: '/h/mail/example.org/anna' }
  const phc = (letter: string): string => `$argon2id$v=19$m=19456,t=2,p=1$${letter.repeat(22)}$${letter.repeat(43)}`
  const credential = (label: string, letter: string) => {
    const hash = parsePasswordHash(phc(letter)) ?? assert.fail('no hash')
    return { label, hash, scram: undefined }
  }
  const rest = ':7:8::/h/mail/example.org/anna::'

  it('has the main password under the name, and the others under numbers', () => {
    const credentials = [credential('phone', 'Q'), credential('', 'A'), credential('tablet', 'g')]
    assert.deepEqual(passwdLines(account, { disabled: false, credentials }), [
      `anna@example.org:{ARGON2ID}${phc('A')}${rest}`,
      `anna@example.org/1:{ARGON2ID}${phc('Q')}${rest}`,
      `anna@example.org/2:{ARGON2ID}${phc('g')}${rest}`,
    ])
  })

  it('has the name without a password where there are only others', () => {
    assert.deepEqual(passwdLines(account, { disabled: false, credentials: [credential('phone', 'Q')] }), [
      `anna@example.org:{CRYPT}*${rest}`,
      `anna@example.org/1:{ARGON2ID}${phc('Q')}${rest}`,
    ])
  })

  it('has nobody who may not log in, or cannot', () => {
    assert.deepEqual(passwdLines(account, undefined), [])
    assert.deepEqual(passwdLines(account, { disabled: false, credentials: [] }), [])
    assert.deepEqual(passwdLines(account, { disabled: true, credentials: [credential('', 'A')] }), [])
  })
})
