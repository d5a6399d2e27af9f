/** The same rules, compiled by ucspi-tcp's tcprules and by us, decided by its tcprulescheck and by us; and the files
 *  themselves, read by tinycdb's and freecdb's tools. Needs Debian's ucspi-tcp-ipv6 (or ucspi-tcp), tinycdb, freecdb. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parseRules } from '../../src/protocols/qmail/tcprules.ts'
import { decideByRules, type RulePeer } from '../../src/protocols/qmail/tcprules-lookup.ts'
import { cdbOf } from '../../src/stores/tcprules/compile.ts'
import { openRules } from '../../src/stores/tcprules/rules-file.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-tcprules-'))
after(() => rmSync(directory, { recursive: true }))

function run(file: string, args: readonly string[], input = '', env: Record<string, string> = {}): [number, Buffer] {
  // tcprules of ucspi-tcp-ipv6 runs for ever on a line that it cannot parse.
  const { status, stdout } = spawnSync(file, args, { input: Buffer.from(input, 'latin1'), env, timeout: 5000 })
  return [status ?? -1, stdout]
}

function isThere(file: string): boolean {
  return spawnSync(file, [], { timeout: 2000, input: '' }).error === undefined
}

const ipv4Rules = `# what tcprules(1) and the page of tcprules show
joe@127.0.0.1:allow,FIRST="1"
18.23.0.32:deny
127.:allow,RELAYCLIENT=""
10.119.:deny,WHY="no"
192.0.2.1-22:allow,RANGE="r"
10.2-3.:allow,S=/a"b/
203.0.113.7:allow,C="a:b",D="x,y"
203.0.113.7:deny
=host.example:allow,H="host"
=.example:allow,H="suffix"
joe@=host.example:allow,H="joe's host"
:allow,GREETDELAY="2"
`
const ipv6Rules = `::1:allow,RELAYCLIENT=""
2001:db8::5:deny
2001:db8::allow,P="prefix"
2001:db9:0:1::allow,P="longer"
`
const ipv4Peers: readonly RulePeer[] = [
  ...['127.0.0.1', '127.9.9.9', '18.23.0.32', '18.23.0.33', '10.119.75.38', '192.0.2.1', '192.0.2.22', '192.0.2.23'],
  ...['192.0.2.2', '10.2.3.4', '10.3.255.1', '10.4.0.1', '203.0.113.7', '203.0.113.70', '0.0.0.0', '255.255.255.255'],
].map((ip) => ({ ip }))
const namedPeers: readonly RulePeer[] = [
  { ip: '127.0.0.1', info: 'joe' },
  { ip: '127.0.0.1', info: 'bill' },
  { ip: '198.51.100.1', host: 'host.example' },
  { ip: '198.51.100.1', host: 'other.example' },
  { ip: '198.51.100.1', host: 'a.b.example' },
  { ip: '198.51.100.1', host: 'example' },
  { ip: '198.51.100.1', host: 'host.example', info: 'joe' },
  { ip: '127.0.0.1', host: 'a.example' },
  { ip: '18.23.0.32', host: 'host.example' },
]
const ipv6Peers: readonly RulePeer[] = [
  '::1',
  '2001:db8::5',
  '2001:db8::6',
  '2001:db8:7::1',
  '2001:db9:0:1:2:3:4:5',
  '2001:db9::1',
].map((ip) => ({ ip }))

/** In tcprulescheck's words. */
function ours(file: string, peer: RulePeer): string {
  const { key, verdict, variables } = decideByRules(openRules(readFileSync(file)), peer)
  const lines = [key === undefined ? 'default:' : `rule ${key}:`]
  for (const [name, value] of variables) lines.push(`set environment variable ${name}=${value}`)
  // Of a deny, tcprulescheck says nothing else.
  return verdict === 'deny' ? `${lines[0]}\ndeny connection\n` : `${lines.join('\n')}\nallow connection\n`
}

function theirs(file: string, { ip, host, info }: RulePeer): string {
  const env = { TCPREMOTEIP: ip, ...(host && { TCPREMOTEHOST: host }), ...(info && { TCPREMOTEINFO: info }) }
  return run('tcprulescheck', [file], '', env)[1].toString('latin1')
}

const hasTcprules = isThere('tcprules')
const readsIpv6 =
  hasTcprules && run('tcprules', [join(directory, 'v6.cdb'), join(directory, 'tmp')], '::1:deny\n')[0] === 0

describe('Debian’s tcprules', { skip: hasTcprules ? false : 'ucspi-tcp-ipv6 or ucspi-tcp is not installed' }, () => {
  const texts = readsIpv6 ? [ipv4Rules, ipv6Rules + ipv4Rules] : [ipv4Rules]
  for (const [at, text] of texts.entries()) {
    const peers = at === 0 ? [...ipv4Peers, ...namedPeers] : [...ipv4Peers, ...namedPeers, ...ipv6Peers]
    it(`the same file, and the same decisions on both: ${peers.length} peers`, () => {
      const made = { theirs: join(directory, `theirs${at}.cdb`), ours: join(directory, `ours${at}.cdb`) }
      assert.equal(run('tcprules', [made.theirs, join(directory, 'tmp')], text)[0], 0)
      const parsed = parseRules(text)
      assert.deepEqual(parsed.faults, [])
      writeFileSync(made.ours, cdbOf(parsed))
      assert.deepEqual(readFileSync(made.ours), readFileSync(made.theirs))
      for (const peer of peers)
        for (const file of Object.values(made))
          assert.equal(ours(file, peer), theirs(file, peer), `${JSON.stringify(peer)} in ${file}`)
    })
  }

  it('refuses the lines that we refuse', () => {
    const lines = ['1.2.3.4:allow,', '1.2.3.4:allow,X', '1.2.3.4:allow,X="', '1.2.3.4:allow,X="a"b', '1.2.3.4:denyfoo']
    for (const line of [...lines, '1.2.3.4:allow X="a"', 'a-b:allow', '1-2-3:allow']) {
      assert.equal(run('tcprules', [join(directory, 'x.cdb'), join(directory, 'tmp')], `${line}\n`)[0], 100, line)
      assert.equal(parseRules(line).faults.length, 1, line)
    }
  })
})

const records = [...ipv4Rules.matchAll(/^([^#:]*):/gm)].map(([, address = '']) => address)

describe('cdb tools read our file', () => {
  const file = join(directory, 'read.cdb')
  writeFileSync(file, cdbOf(parseRules(ipv4Rules)))
  const want = 'RELAYCLIENT='

  it('tinycdb: cdb -q, cdb -d, cdb -s', { skip: isThere('cdb') ? false : 'tinycdb is not installed' }, () => {
    assert.deepEqual(run('cdb', ['-q', file, '127.']), [0, Buffer.from(`+${want}\0`)])
    const [status, dump] = run('cdb', ['-d', file])
    assert.equal(status, 0)
    assert.ok(dump.includes(`+4,14:127.->+${want}\0\n`))
    assert.ok(records.length > 10)
    assert.equal(run('cdb', ['-s', file])[0], 0)
  })

  it('freecdb: cdbget, cdbdump; and its cdbmake is read by us', {
    skip: isThere('cdbget') ? false : 'freecdb is not installed',
  }, () => {
    // It seeks in its standard input: a pipe will not do.
    const [found, data] = run('/bin/sh', ['-c', 'exec cdbget "$1" < "$2"', 'sh', '127.', file], '', {
      PATH: process.env['PATH'] ?? '',
    })
    const [, dump] = run('cdbdump', [], readFileSync(file, 'latin1'))
    assert.ok(dump.includes(`+4,14:127.->+${want}\0\n`))
    assert.deepEqual([found, data], [0, Buffer.from(`+${want}\0`)])
    const made = join(directory, 'made.cdb')
    assert.equal(run('cdbmake', [made, join(directory, 'tmp')], dump.toString('latin1'))[0], 0)
    assert.deepEqual(readFileSync(made), readFileSync(file))
  })
})
