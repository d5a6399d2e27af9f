import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planPlugIns } from './plan.ts'
import { type Command, parseCommand } from '../../../protocols/spp/command.ts'
import { parsePlugIns, type PlugIn, plugInName, type Stage, stages } from '../../../protocols/spp/plug-ins.ts'

const lines = (plugIns: Readonly<Record<Stage, readonly PlugIn[]>>): string[] =>
  stages.map((stage) => plugIns[stage].map(({ line }) => line).join(' '))

test('sections go by their first letter; unknown ones, and what is before any, are passed over', () => {
  const plugIns = parsePlugIns(['/early', '[connection]', 'c', '[Hm]', 'x', '[hello]', 'h', '[mail', 'm', '[r', 'r'])
  assert.deepEqual(lines(plugIns), ['c', 'h', 'm', 'r', ''])
  const again = parsePlugIns(['[data]', 'one', '[xyz]', 'lost', '[d]', ':two three', '[auth]', 'a'])
  assert.deepEqual(lines(again), ['', '', '', '', 'one :two three'])
  assert.deepEqual(again.data[1], { kind: 'shell', program: 'two three', line: ':two three' })
  assert.equal(plugInName(parsePlugIns(['[d]', '/usr/bin/qmail-spp-spf']).data[0] as PlugIn), 'qmail-spp-spf')
})

test('NOSPP, SPPCONFFILE, and a file that is not there', () => {
  const listed = ['[mail]', 'own']
  const read = (name: string): Buffer | undefined => (name === 'other' ? Buffer.from('# x\n[data]\nd \n') : undefined)
  const plan = (variables: Record<string, string>): string => {
    const { plugIns, decidedBy } = planPlugIns(new Map(Object.entries(variables)), listed, read)
    return `${decidedBy}:${lines(plugIns).join('|')}`
  }
  assert.equal(plan({}), 'control/smtpplugins:||own||')
  assert.equal(plan({ SPPCONFFILE: '' }), 'control/smtpplugins:||own||')
  assert.equal(plan({ SPPCONFFILE: 'other' }), 'other:||||d')
  assert.equal(plan({ SPPCONFFILE: 'absent' }), 'absent:||||')
  assert.equal(plan({ NOSPP: '', SPPCONFFILE: 'other' }), 'NOSPP:||||')
})

test('commands', () => {
  const cases: readonly [string, Command | undefined][] = [
    ['A', { kind: 'accept-off' }],
    ['N and why', { kind: 'next' }],
    ['O\r', { kind: 'ok' }],
    ['D', { kind: 'drop' }],
    ['E550 a', { kind: 'refuse', reply: { code: 550, text: 'a', status: undefined } }],
    ['Rgone', { kind: 'refuse-drop', reply: { code: 421, text: 'gone', status: undefined } }],
    ['P250-a', { kind: 'print', text: '250-a' }],
    ['LD451-a (#4.7.1)', { kind: 'save', savedFor: 'data', reply: { code: 451, text: 'a (#4.7.1)', status: '4.7.1' } }],
    ['LX451 a', undefined],
    ['L', undefined],
    ['SA=b=c', { kind: 'set', name: 'A', value: 'b=c' }],
    ['SA=', { kind: 'set', name: 'A', value: '' }],
    ['S=b', undefined],
    ['SA', undefined],
    ['SA=\0', undefined],
    ['UA', { kind: 'unset', name: 'A' }],
    ['U', undefined],
    ['HX: \xe9\x01', { kind: 'header', line: 'X: \xe9?' }],
    ['HX\ry: z', { kind: 'header', line: 'X?y: z' }],
    ['Ca@b\0c', { kind: 'address', address: 'a@b?c' }],
    ['a', undefined],
    ['', undefined],
    ['550 a', undefined],
  ]
  for (const [line, expected] of cases) assert.deepEqual(parseCommand(line), expected, JSON.stringify(line))
})
