/** `.qmail` files: which names are looked for, and what the lines say (dot-qmail(5)).
 *  Knows:  names, forms, texts. Never: opens a file or delivers; programs/local does. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { type Failure, type Status, transient } from '../../base/outcome.ts'
import { after, delivered, printed } from './delivery-status.ts'
import { encodingFault, writtenLines } from './written-text.ts'

export interface DotQmailName {
  /** In the home directory. */
  readonly name: ByteString
  /** The variable DEFAULT, set only if the name ends in `default`. */
  readonly default: ByteString | undefined
}

export interface DotQmailSearch {
  /** The first that exists is the one. */
  readonly names: readonly DotQmailName[]
  /** Where none exists: there is no such mailbox, or the default delivery. */
  readonly absent: 'no mailbox' | 'default delivery'
  /** The files whose presence turns a delivery into a mailing list's. */
  readonly ownerName: ByteString
  readonly ownerDefaultName: ByteString
}

/** A tag split off at `+` is looked for as an extension at `-` is; where no file is found, the mail goes where the
 *  user's plain mail goes. This is the only place that knows the rule. */
export function searchDotQmail(dash: ByteString, ext: ByteString): DotQmailSearch {
  const isTag = dash === '+'
  // No dots, hence no `..`: an address cannot lead out of the home directory.
  const safeExt = lowerAscii(ext).replaceAll('.', ':')
  const stem = `.qmail${isTag ? '-' : dash}`
  const names: DotQmailName[] = [
    { name: stem + safeExt, default: safeExt.endsWith('default') ? ext.slice(-'default'.length) : undefined },
  ]
  for (let length = safeExt.length; length >= 0; length--) {
    // Always at `-`, whatever the break character.
    if (length > 0 && safeExt.charAt(length - 1) !== '-') continue
    names.push({ name: `${stem}${safeExt.slice(0, length)}default`, default: ext.slice(length) })
  }
  if (isTag) names.push({ name: '.qmail', default: undefined })
  return {
    names,
    absent: dash === '' || isTag ? 'default delivery' : 'no mailbox',
    ownerName: `${stem}${safeExt}-owner`,
    ownerDefaultName: `${stem}${safeExt}-owner-default`,
  }
}

/** NEWSENDER: who gets the bounces of what is forwarded from here. */
export function forwardSender(
  sender: ByteString,
  local: ByteString,
  domain: ByteString,
  owner: 'none' | 'owner' | 'owner and default',
): ByteString {
  if (owner === 'none' || !mayHaveOwner(sender)) return sender
  return owner === 'owner' ? `${local}-owner@${domain}` : `${local}-owner-@${domain}-@[]`
}

/** Bounces and double bounces keep their sender. */
export function mayHaveOwner(sender: ByteString): boolean {
  return sender !== '' && sender !== '#@[]'
}

export type Instruction =
  | { readonly kind: 'mbox'; readonly path: ByteString }
  | { readonly kind: 'maildir'; readonly path: ByteString }
  | { readonly kind: 'program'; readonly command: ByteString }
  | { readonly kind: 'forward'; readonly address: ByteString }
  /** The delivery ends here; what came before has been done. */
  | { readonly kind: 'refuse'; readonly failure: Failure }

const blank = transient('2.1', 'Uh-oh: first line of .qmail file is blank.')
const fileRefused = transient('7.0', 'Uh-oh: .qmail has file delivery but has x bit set.')
const programRefused = transient('7.0', 'Uh-oh: .qmail has prog delivery but has x bit set.')

/** In the order of execution. `forwardOnly`: the file's owner may execute it. */
export function parseDotQmail(text: ByteString, forwardOnly: boolean): Instruction[] {
  const instructions: Instruction[] = []
  let onlyForwards = forwardOnly
  const fault = encodingFault(text)
  if (fault !== undefined) return [{ kind: 'refuse', failure: transient('3.0', `Uh-oh: .qmail file ${fault}.`) }]
  for (const [index, line] of writtenLines(text).entries()) {
    const content = beforeNul(line)
    if (content === '+list') onlyForwards = true
    else if (content === '' && index === 0) instructions.push({ kind: 'refuse', failure: blank })
    else {
      const instruction = parseContent(content, onlyForwards)
      if (instruction !== undefined) instructions.push(instruction)
    }
    if (instructions.at(-1)?.kind === 'refuse') break
  }
  return instructions
}

function parseContent(content: ByteString, onlyForwards: boolean): Instruction | undefined {
  switch (content.charAt(0)) {
    case '':
    case '#':
    case '+':
      return undefined
    case '.':
    case '/':
      if (onlyForwards) return { kind: 'refuse', failure: fileRefused }
      return { kind: content.endsWith('/') ? 'maildir' : 'mbox', path: content }
    case '|':
      if (onlyForwards) return { kind: 'refuse', failure: programRefused }
      return { kind: 'program', command: content.slice(1) }
    case '&':
      return { kind: 'forward', address: content.slice(1) }
    default:
      return { kind: 'forward', address: content }
  }
}

/** What a delivery has done, as its report says. */
export interface Tally {
  files: number
  forwards: number
  programs: number
}

export function didLine(tally: Tally): ByteString {
  return `did ${tally.files}+${tally.forwards}+${tally.programs}\n`
}

/** `qmail-local -n`: what would be done. */
export function describe(instructions: readonly Instruction[]): Status {
  const tally: Tally = { files: 0, forwards: 0, programs: 0 }
  let output = ''
  for (const instruction of instructions) {
    switch (instruction.kind) {
      case 'refuse':
        return after(output, printed(instruction.failure))
      case 'mbox':
      case 'maildir':
        tally.files++
        output += `${instruction.kind} ${instruction.path}\n`
        break
      case 'program':
        tally.programs++
        output += `program ${instruction.command}\n`
        break
      case 'forward':
        tally.forwards++
        output += `forward ${instruction.address}\n`
        break
    }
  }
  return delivered(output + didLine(tally))
}

/** A NUL ends a line early, as it ended qmail's strings. */
function beforeNul(line: ByteString): ByteString {
  const nul = line.indexOf('\0')
  return nul < 0 ? line : line.slice(0, nul)
}
