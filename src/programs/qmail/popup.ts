/** qmail-popup(8): asks for a name and a password by POP3 on descriptors 0 and 1, and runs a checkpassword program, which runs
 *  the POP3 server. One try a connection. In clear, unless a program in front adds TLS: our own pop3 service demands TLS.
 *  Never:  reads more than a line at a time: the rest is for the next program. Never logs a password or its length. */
import type { ByteString } from '../../base/byte-string.ts'
import { commandLineBytesMax, parseCommand } from '../../protocols/pop3/command.ts'
import { errorReply, okReply } from '../../protocols/pop3/replies.ts'
import type { Call } from './call.ts'

const idleMilliseconds = 1_200_000
const lf = 10
const over = 1

export async function popup(call: Call): Promise<number> {
  const [host, ...command] = call.args
  if (host === undefined || command.length === 0) {
    call.out(errorReply('usage: popup hostname subprogram'))
    return over
  }
  const stamp = `<${call.pid}.${Math.floor(call.now() / 1000)}@${host}>`
  call.out(`+OK ${stamp}\r\n`)
  const login = askFor(call)
  if (login === undefined) return over
  const { name, secret } = login
  const end = await call.runCheck(command, `${name}\0${secret}\0${stamp}\0`)
  if (end.kind === 'crash') call.out(errorReply('aack, child crashed'))
  else if (end.kind === 'absent' || end.code !== 0) call.out(errorReply('authorization failed'))
  return over
}

interface Login {
  readonly name: ByteString
  /** The password, or the digest of APOP. */
  readonly secret: ByteString
}

/** Undefined: the client has left, or sent QUIT. */
function askFor(call: Call): Login | undefined {
  let name: ByteString | undefined
  for (;;) {
    const line = readLine(call)
    if (line === undefined) return undefined
    const { verb, argument, rest } = parseCommand(line)
    switch (verb) {
      case 'user':
        name = argument === '' ? name : argument
        call.out(argument === '' ? errorReply('syntax error') : okReply)
        break
      case 'pass':
        if (name !== undefined && rest !== '') return { name, secret: rest }
        call.out(errorReply(name === undefined ? 'USER first' : 'syntax error'))
        break
      case 'apop': {
        const space = argument.indexOf(' ')
        if (space > 0) return { name: argument.slice(0, space), secret: argument.slice(space + 1) }
        call.out(errorReply('syntax error'))
        break
      }
      case 'noop':
        call.out(okReply)
        break
      case 'quit':
        call.out(okReply)
        return undefined
      default:
        call.out(errorReply('authorization first'))
    }
  }
}

/** Without its LF. Undefined: there is no more line, or it is too long. */
function readLine(call: Call): ByteString | undefined {
  let line = ''
  while (line.length <= commandLineBytesMax) {
    const byte = call.byte(idleMilliseconds)
    if (typeof byte === 'string') return undefined
    if (byte === lf) return line
    line += String.fromCharCode(byte)
  }
  return undefined
}
