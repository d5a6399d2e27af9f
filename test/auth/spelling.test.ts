/** A password checker that looks at no domain, as vpopmail's kind does, and a user of the machine who is disabled: in a
 *  system home, by all the programs. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setDisabled } from '../../src/stores/credentials/credentials.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { until } from '#test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'
import { SystemInstance, withoutSystemHome } from '#test/kit/system-instance.ts'
import { without } from '#test/kit/tool.ts'

const user = 'backup'
const checker = `
open(my $in, '<&=3') or exit 111; binmode $in; local $/;
my ($name, $password) = split /\\0/, <$in>;
close $in;
$name =~ s/@.*//;
my @user = getpwnam($name);
exit 1 if !@user or $password ne 'secret';
@ENV{'USER', 'HOME'} = @user[0, 7];
$) = "$user[3] $user[3]"; $( = $user[3]; $< = $> = $user[2];
exec @ARGV; exit 111;
`
const names = [user, `${user}@mail.example.test`, `${user}@whatever.test`, `${user.toUpperCase()}@whatever.test`]

describe('a disabled user of the machine', {
  skip: without('perl') || withoutSystemHome(user),
  concurrency: false,
}, () => {
  let system: SystemInstance | undefined
  const open: MailClient[] = []
  const running = (): SystemInstance => system ?? assert.fail('it does not run')
  const connect = (service: string): MailClient => {
    const client = new MailClient({ port: running().portOf(service) })
    open.push(client)
    return client
  }

  before(async () => {
    system = await SystemInstance.start('submission', 'pop3', 'local')
    const file = join(system.beside('checker'), 'checker')
    writeFileSync(file, checker)
    writeFileSync(join(system.home, 'control/checkpassword'), `perl ${file}\n`)
  })
  after(async () => {
    for (const client of open) client.end()
    await system?.end()
  })

  it('logs in by no spelling, and those who did are sent away', async () => {
    const sessions = new Map<string, MailClient>()
    await until('the checker', 20_000, async () => {
      const client = connect('submissions')
      return (await smtpLogin(client, user, 'secret')).startsWith('235 ') || undefined
    })
    for (const name of names) {
      const client = connect('submissions')
      assert.match(await smtpLogin(client, name, 'secret'), /^235 /, name)
      sessions.set(name, client)
    }
    // What `account disable` does for a user whose home is his own.
    await setDisabled(homeAt(running().home), user, true)
    for (const [name, client] of sessions) assert.match(await client.untilClosed(), /^421 4\.3\.2 shutting down/, name)
    for (const name of names) {
      assert.match(await smtpLogin(connect('submissions'), name, 'secret'), /^535 /, name)
      assert.match(await popLogin(connect('pop3s'), name, 'secret'), /^-ERR/, name)
    }
    const refused = await smtpLogin(connect('submissions'), names[2] ?? '', 'secret')
    assert.equal(await smtpLogin(connect('submissions'), names[2] ?? '', 'wrong'), refused)
    await setDisabled(homeAt(running().home), user, false)
    assert.match(await smtpLogin(connect('submissions'), names[2] ?? '', 'secret'), /^235 /)
  })
})
