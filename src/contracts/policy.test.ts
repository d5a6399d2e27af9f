import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame, FrameReader } from './frame.ts'
import {
  decodePolicyNotice,
  decodePolicyReply,
  decodePolicyRequest,
  dnsListsMax,
  encodePolicyNotice,
  encodePolicyReply,
  encodePolicyRequest,
  type PolicyNotice,
  type PolicyReply,
  type PolicyRequest,
} from './policy.ts'
import { policyFieldBytesMax } from './policy-fields.ts'

function frameOf(bytes: Buffer): Frame {
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  assert.equal(frames.length, 1)
  return frames[0] as Frame
}

const requests: readonly PolicyRequest[] = [
  { kind: 'spf', ref: 1, ip: '192.0.2.1', helo: 'h\xff', sender: '', bestGuess: true, refuseOpenPass: false },
  { kind: 'dnsbl', ref: 0xffffffff, ip: '2001:db8::1', lists: ['zen.test', '-b.test', ''] },
  {
    kind: 'greylist',
    ref: 3,
    ip: '192.0.2.1',
    sender: 's@a',
    recipient: 'r@b',
    minRejectSeconds: 300,
    maxWaitSeconds: 14_400,
    acceptGoodSeconds: 3_110_400,
    onlyLook: true,
  },
  { kind: 'name', ref: 9, ip: '192.0.2.1', confirm: true },
  {
    kind: 'auth',
    ref: 10,
    ip: '192.0.2.1',
    helo: 'mx.a.example',
    sender: '',
    refuseOpenPass: false,
    header: 'From: \xfc@a.example\n',
    bodies: { relaxed: { bytes: 5_000_000_000, sha256: '\0'.repeat(32) } },
    explain: true,
  },
]
const explained = { rule: 'r', logText: 'l', freshMilliseconds: 60_000 }
const replies: readonly PolicyReply[] = [
  { kind: 'serving' },
  { kind: 'none', ref: 2, why: 'because' },
  {
    kind: 'answer',
    ref: 4,
    answer: {
      kind: 'spf',
      ...explained,
      result: 'permerror',
      explanation: 'e',
      receivedSpf: 'Received-SPF: x',
      openToAll: true,
      guess: 'unknown',
    },
  },
  {
    kind: 'answer',
    ref: 5,
    answer: {
      kind: 'dnsbl',
      ...explained,
      decision: 'listed',
      code: 553,
      zone: 'zen.test',
      address: '127.0.0.2',
      text: 't',
      marks: ['m.test'],
      score: 12,
    },
  },
  {
    kind: 'answer',
    ref: 6,
    answer: { kind: 'greylist', ...explained, state: 'young', refuseAtData: true, untilMs: 1_800_000_000_000 },
  },
  {
    kind: 'answer',
    ref: 7,
    answer: { kind: 'name', ...explained, name: 'mx.a.example', leadsBack: true },
  },
  {
    kind: 'answer',
    ref: 8,
    answer: {
      kind: 'auth',
      ...explained,
      spf: 'softfail',
      signatures: [
        { result: 'pass', reason: '', domain: 'a.example', selector: 's1', mark: 'abc' },
        { result: 'temperror', reason: 'no answer', domain: 'b.example', selector: 's2', mark: 'def' },
      ],
      skipped: 3,
      dmarc: 'fail',
      author: 'a.example',
      whyNoAuthor: '',
      isAmbiguous: true,
      policy: undefined,
      receipt: 7,
      isFromList: true,
      thoughts: ['dmarc: a thought'],
    },
  },
]

const notices: readonly PolicyNotice[] = [
  { kind: 'acted', receipt: 7, action: 'quarantine', reason: 'mailing_list' },
  { kind: 'sent', domains: ['a.example', 'b.example'] },
]

describe('the policy contract', () => {
  it('carries questions and answers unchanged', () => {
    for (const request of requests)
      assert.deepEqual(decodePolicyRequest(frameOf(encodePolicyRequest(request))), request)
    for (const reply of replies) assert.deepEqual(decodePolicyReply(frameOf(encodePolicyReply(reply))), reply)
  })
  it('carries what policy is told without an answer', () => {
    for (const notice of notices) {
      assert.deepEqual(decodePolicyNotice(frameOf(encodePolicyNotice(notice))), notice)
      assert.throws(() => decodePolicyRequest(frameOf(encodePolicyNotice(notice))), ContractError)
    }
    for (const request of requests) assert.equal(decodePolicyNotice(frameOf(encodePolicyRequest(request))), undefined)
  })
  it('refuses a payload cut short anywhere, or with a byte too many', () => {
    const pairs = [
      ...notices.map((notice) => [encodePolicyNotice(notice), decodePolicyNotice] as const),
      ...requests.map((request) => [encodePolicyRequest(request), decodePolicyRequest] as const),
      ...replies.map((reply) => [encodePolicyReply(reply), decodePolicyReply] as const),
    ]
    for (const [bytes, decode] of pairs) {
      const { type, payload } = frameOf(bytes)
      for (let end = 0; end < payload.length; end++)
        assert.throws(() => decode({ type, payload: payload.subarray(0, end) }), ContractError)
      const longer = Buffer.concat([payload, Buffer.of(0)])
      assert.throws(() => decode({ type, payload: longer }), ContractError)
    }
  })
  it('refuses what is over its limits, and what it does not know', () => {
    const spfType = frameOf(encodePolicyRequest(requests[0] as PolicyRequest)).type
    const listType = frameOf(encodePolicyRequest(requests[1] as PolicyRequest)).type
    const frame = (type: number, fields: FieldWriter): Frame => frameOf(encodeFrame(type, ...fields.end()))
    const long = new FieldWriter().u32(1).string('x'.repeat(policyFieldBytesMax + 1))
    assert.throws(() => decodePolicyRequest(frame(spfType, long)), /field of 2049 bytes/)
    const many = new FieldWriter()
      .u32(1)
      .string('1')
      .strings(Array<string>(dnsListsMax + 1).fill('z'))
    assert.throws(() => decodePolicyRequest(frame(listType, many)), /65 fields/)
    const oddFlag = new FieldWriter().u32(1).string('1').string('h').string('s').u8(2).u8(0)
    assert.throws(() => decodePolicyRequest(frame(spfType, oddFlag)), /flag of 2/)
    assert.throws(() => decodePolicyRequest(frame(1, new FieldWriter().u32(1).string(''))), /frame type 1/)
    assert.throws(
      () => decodePolicyReply(frame(spfType, new FieldWriter().u32(1).string('').string(''))),
      ContractError,
    )
  })
  it('never sends a question that the other side would refuse', () => {
    const long = 'x'.repeat(policyFieldBytesMax + 1)
    const lists = Array<string>(dnsListsMax + 1).fill('z')
    const base = requests[0] as PolicyRequest & { kind: 'spf' }
    for (const changes of [{ ip: long }, { helo: long }, { sender: long }])
      assert.throws(() => encodePolicyRequest({ ...base, ...changes }), ContractError)
    assert.throws(() => encodePolicyRequest({ kind: 'dnsbl', ref: 1, ip: '1', lists }), ContractError)
    assert.throws(() => encodePolicyRequest({ kind: 'dnsbl', ref: 1, ip: '1', lists: [long] }), ContractError)
  })
  it('cuts the texts of an answer, so that it can always be sent', () => {
    const long = 'x'.repeat(10_000)
    const reply = decodePolicyReply(frameOf(encodePolicyReply({ kind: 'none', ref: 1, why: long })))
    assert.equal(reply.kind === 'none' && reply.why.length, policyFieldBytesMax)
  })
})
