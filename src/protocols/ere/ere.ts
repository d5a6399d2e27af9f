/** Matching by simulating all ways at once (Thompson's construction): time grows with text times pattern, whatever the
 *  two are. Nothing is ever tried again, so a remote party cannot make it slow.
 *  Fails:  `compileEre` throws EreError; `matches` never fails. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ByteSet } from './byte-set.ts'
import { EreError, type Node, parseEre } from './parse.ts'

/** Repetitions are copies: {255} of {255} is refused. */
const statesMax = 4000

interface State {
  readonly kind: 'set' | 'split' | 'begin' | 'end' | 'match'
  readonly set?: ByteSet
  next: number
  other: number
}

export interface Ere {
  /** Somewhere in the text, if the pattern is not anchored. */
  matches(text: ByteString): boolean
}

export function compileEre(pattern: ByteString): Ere {
  const program = new Program()
  const match = program.add({ kind: 'match', next: -1, other: -1 })
  const start = program.compile(parseEre(pattern), match)
  return { matches: (text) => simulate(program.states, start, text) }
}

/** States are made from the end of the pattern to its start: each knows where it goes. */
class Program {
  readonly states: State[] = []

  add(state: State): number {
    if (this.states.length >= statesMax) throw new EreError(`needs more than ${statesMax} states`)
    this.states.push(state)
    return this.states.length - 1
  }

  compile(node: Node, next: number): number {
    switch (node.kind) {
      case 'empty':
        return next
      case 'begin':
      case 'end':
        return this.add({ kind: node.kind, next, other: -1 })
      case 'set':
        return this.add({ kind: 'set', set: node.set, next, other: -1 })
      case 'sequence':
        return node.parts.reduceRight((after, part) => this.compile(part, after), next)
      case 'choice':
        return node.parts
          .map((part) => this.compile(part, next))
          .reduceRight((other, start) => this.add({ kind: 'split', next: start, other }))
      case 'repeat':
        return this.repeat(node.part, node.min, node.max, next)
    }
  }

  private repeat(part: Node, min: number, max: number, next: number): number {
    let start = next
    if (max === Infinity) {
      const loop: State = { kind: 'split', next: -1, other: next }
      start = this.add(loop)
      loop.next = this.compile(part, start)
    } else {
      for (let n = min; n < max; n++) start = this.add({ kind: 'split', next: this.compile(part, start), other: next })
    }
    for (let n = 0; n < min; n++) start = this.compile(part, start)
    return start
  }
}

function simulate(states: readonly State[], start: number, text: ByteString): boolean {
  /** The position at which a state was last entered: each is entered once a position. */
  const entered = new Int32Array(states.length).fill(-1)
  let current: number[] = []
  for (let at = 0; at <= text.length; at++) {
    // The match may begin here.
    if (enter(states, start, at, text.length, entered, current)) return true
    if (at === text.length) return false
    const code = text.charCodeAt(at)
    const following: number[] = []
    for (const index of current) {
      const state = states[index]
      if (state?.set?.[code] !== 1) continue
      if (enter(states, state.next, at + 1, text.length, entered, following)) return true
    }
    current = following
  }
  return false
}

/** Adds all `set` states that can be reached without a byte; true if the end of the pattern can. */
function enter(
  states: readonly State[],
  from: number,
  at: number,
  length: number,
  entered: Int32Array,
  reached: number[],
): boolean {
  const stack = [from]
  for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
    const state = states[index]
    if (state === undefined || entered[index] === at) continue
    entered[index] = at
    if (state.kind === 'match') return true
    if (state.kind === 'set') reached.push(index)
    else if (state.kind === 'split') stack.push(state.other, state.next)
    else if (state.kind === 'begin' ? at === 0 : at === length) stack.push(state.next)
  }
  return false
}
