/** A whole Quaver whose edge can be visited from anywhere: loopback is a listed proxy, which says who comes (PROXY v1), and
 *  DNS is answered by a table. Each visitor from an address of its own is decided about by the rules for that address.
 *  Knows:  the PROXY line, whole replies. Never: retries. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DnsServer } from './dns-server.ts'
import { askAdmin, demoAddress, Instance, type Setup, until } from './instance.ts'
import { BareClient } from './smtpd-server.ts'

const replyMillisecondsMax = 20_000
const wholeReply = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3} [^\r\n]*\r\n/

/** What holds without rules, but for the delay. */
const atOnce = '127.:allow,RELAYCLIENT=""\n::1:allow,RELAYCLIENT=""\n:allow,GREETDELAY="0"\n'

export class Edge {
  readonly dns: DnsServer
  readonly instance: Instance

  private constructor(dns: DnsServer, instance: Instance) {
    this.dns = dns
    this.instance = instance
  }

  /** `keepsWaiting`: without rules of its own a stranger waits 2 s for the greeting; else rules say that nobody waits. */
  static async start(setup: Setup = {}, keepsWaiting = false): Promise<Edge> {
    const dns = await DnsServer.listen()
    const files = {
      ...(keepsWaiting ? {} : { 'control/tcprules/smtp': atOnce }),
      'control/proxyclients': '127.0.0.1\n',
      'control/dnsservers': `${dns.server}\n`,
      ...setup.files,
    }
    try {
      return new Edge(dns, await Instance.start({ ...setup, files }))
    } catch (error) {
      dns.close()
      throw error
    }
  }

  async end(): Promise<void> {
    await this.instance.end()
    this.dns.close()
  }

  /** Executable, below the home's plugins/. */
  async program(name: string, text: string): Promise<string> {
    const path = join(this.instance.home, 'plugins', name)
    await mkdir(join(this.instance.home, 'plugins'), { recursive: true })
    await writeFile(path, text)
    await chmod(path, 0o755)
    return path
  }

  /** Connects as from that address; the greeting is still to come. */
  from(ip: string): Visitor {
    const visitor = new Visitor(BareClient.to(this.instance.smtpPort))
    const [family, local] = ip.includes(':') ? ['TCP6', '2001:db8::25'] : ['TCP4', '192.0.2.25']
    visitor.bare.say(`PROXY ${family} ${ip} ${local} 40000 25\r\n`)
    return visitor
  }

  /** Greeted, and EHLO said. */
  async greeted(ip: string): Promise<Visitor> {
    const visitor = this.from(ip)
    const greeting = await visitor.reply()
    if (!greeting.startsWith('220 ')) throw new Error(`${ip} is greeted with ${greeting}`)
    await visitor.ask('EHLO visitor.test')
    return visitor
  }

  /** The addresses on which SMTP listens. */
  async listening(): Promise<readonly string[]> {
    const [summary] = await askAdmin(join(this.instance.home, 'run/start.sock'), { op: 'status' })
    return (summary as { readonly smtp: readonly string[] }).smtp
  }

  /** What was delivered with that subject. */
  async delivered(subject: string): Promise<string> {
    const content = await this.instance.message((found) => found.includes(`Subject: ${subject}\n`), subject)
    return content.toString('latin1')
  }

  /** Waits for a line of the log. */
  async logged(pattern: RegExp): Promise<string> {
    return await until(`${pattern} in the log`, replyMillisecondsMax, async () => {
      return pattern.exec(await this.instance.log())?.[0]
    })
  }
}

export class Visitor {
  readonly bare: BareClient

  constructor(bare: BareClient) {
    this.bare = bare
  }

  /** The next reply, and whatever came with it, without the last line end. */
  async reply(): Promise<string> {
    return (await this.bare.until(wholeReply, replyMillisecondsMax)).trimEnd()
  }

  async ask(line: string): Promise<string> {
    this.bare.say(`${line}\r\n`)
    return await this.reply()
  }

  /** The first line of each reply. */
  async talk(...lines: readonly string[]): Promise<string[]> {
    const replies: string[] = []
    for (const line of lines) replies.push((await this.ask(line)).split('\r\n')[0] ?? '')
    return replies
  }

  /** A whole transaction to the demo's account; the reply that ends it. */
  async send(subject: string, sender = 'me@sender.test', recipient: string = demoAddress): Promise<string> {
    for (const command of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA']) {
      const reply = await this.ask(command)
      if (!/^[23]/.test(reply)) return reply
    }
    return await this.ask(`Subject: ${subject}\r\n\r\nhello\r\n.`)
  }

  leave(): void {
    this.bare.destroy()
  }
}
