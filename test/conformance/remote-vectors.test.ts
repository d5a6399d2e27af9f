/** What a stock qmail-remote and qmail-rspawn were seen to do, against ours. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { remoteOutputStatus } from '../../src/protocols/qmail/remote-output.ts'
import { withEnd } from '../../src/protocols/qmail/remote-status.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { type Report, reportOf, statusOf } from '../kit/status.ts'

type Step = 'line' | 'data' | '<close>' | { readonly send: string }

interface RemoteVector {
  readonly name: string
  readonly args: readonly [host: string, sender: string, ...recipients: string[]]
  readonly stdin: string
  readonly server_script: readonly Step[]
  readonly stdout: string
  readonly client_sent: readonly (string | readonly [string, string])[]
}

interface RspawnVector {
  readonly qmail_remote_output: string
  readonly exit: number
  readonly report: string
}

interface Vectors {
  readonly remote: readonly RemoteVector[]
  readonly rspawn_map: readonly RspawnVector[]
}

const file = ['vectors', 'qmail-core.json'] as const
const vectors = sharedJson<Vectors>(...file)
const skip = skipWithout(...file)

function scriptOf({ server_script }: RemoteVector): Script {
  return async (peer) => {
    for (const step of server_script) {
      if (step === 'line') await peer.line()
      else if (step === 'data') await peer.content()
      else if (step === '<close>') return
      else peer.send(step.send)
    }
    await peer.tail()
  }
}

describe('qmail-remote vectors', { skip }, () => {
  it('are there', () => assert.equal(vectors?.remote.length, 12))
  for (const vector of vectors?.remote ?? []) {
    it(vector.name, async () => {
      const server = await ScriptedServer.listen([scriptOf(vector)])
      const rig = new RemoteRig(`127.0.0.1:${server.port}`)
      const [, sender, ...recipients] = vector.args
      const reports = await rig.deliver({ sender, recipients, content: vector.stdin })
      rig.close()
      await server.close()
      assert.deepEqual(reports, [reportOf(remoteOutputStatus(vector.stdout, 0))])
      assert.deepEqual(server.peers[0]?.received.join(''), expectedBytes(vector))
    })
  }
})

/** A deviation from qmail: the first name is sent with EHLO. */
function expectedBytes({ client_sent }: RemoteVector): string {
  const bytes = client_sent
    .map((sent) => (typeof sent === 'string' ? sent : sent[0] === 'tail' ? sent[1] : ''))
    .join('')
  return bytes.replace('HELO ', 'EHLO ')
}

describe('qmail-rspawn vectors', { skip }, () => {
  it('are there', () => assert.equal(vectors?.rspawn_map.length, 10))
  for (const { qmail_remote_output, exit, report } of vectors?.rspawn_map ?? []) {
    it(`${qmail_remote_output} exit ${exit}`, () => {
      const output = qmail_remote_output.replaceAll('\\000', '\0').replaceAll('\\n', '\n')
      const { letter, text } = reportOf(remoteOutputStatus(output, exit))
      assert.equal(`${letter}${text}\0`, report)
      const ours = exit === 0 ? ourReport(output) : undefined
      if (ours !== undefined) assert.deepEqual(ours, { letter, text })
    })
  }
})

/** What `remote` makes of the two reports; undefined if it never has such. */
function ourReport(output: string): Report | undefined {
  const letters: Record<string, Report['letter']> = { h: 'D', s: 'Z', K: 'K', Z: 'Z', D: 'D' }
  const [first, second] = output
    .replace(/^r\0/, '')
    .split('\0')
    .slice(0, -1)
    .map((report) => {
      const letter = letters[report.charAt(0)]
      return letter && statusOf({ letter, text: report.slice(1) })
    })
  if (first === undefined) return undefined
  return reportOf(second === undefined ? first : withEnd(first, second))
}
