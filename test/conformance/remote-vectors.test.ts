/** What a stock qmail-remote and qmail-rspawn were seen to do, against ours. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { combineRemoteOutput } from '../../src/protocols/qmail/remote-report.ts'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

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
      // The helo vector's server never answers our second name: half a second of silence is enough.
      const rig = new RemoteRig(`127.0.0.1:${server.port}`, { replyMilliseconds: 500 })
      const [, sender, ...recipients] = vector.args
      const output = await rig.deliverTogether({ sender, recipients, content: vector.stdin })
      rig.close()
      await server.close()
      assert.equal([...output.recipients, output.message, ''].join('\0'), vector.stdout)
      assert.deepEqual(server.peers[0]?.received.join(''), expectedBytes(vector))
    })
  }
})

/** Deviations from qmail: the first name is sent with EHLO; a server that does not answer it with 250 is told HELO. */
function expectedBytes({ name, client_sent }: RemoteVector): string {
  const bytes = client_sent
    .map((sent) => (typeof sent === 'string' ? sent : sent[0] === 'tail' ? sent[1] : ''))
    .join('')
  const extended = bytes.replace('HELO ', 'EHLO ')
  // That server never answers the HELO: there is nothing to QUIT from.
  return name === 'helo' ? 'EHLO lab.test.example\r\nHELO lab.test.example\r\n' : extended
}

describe('qmail-rspawn vectors', { skip }, () => {
  it('are there', () => assert.equal(vectors?.rspawn_map.length, 10))
  for (const { qmail_remote_output, exit, report } of vectors?.rspawn_map ?? []) {
    it(`${qmail_remote_output} exit ${exit}`, () => {
      const output = qmail_remote_output.replaceAll('\\000', '\0').replaceAll('\\n', '\n')
      const { letter, text } = combineRemoteOutput(output, exit)
      assert.equal(`${letter}${text}\0`, report)
    })
  }
})
