/** What programmers send with: git, and the library that most PHP sites bring along. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { run } from '#test/kit/instance.ts'
import { login, type LoginInstance } from '#test/kit/login-instance.ts'
import { without } from '#test/kit/tool.ts'
import { assertArrived } from './sending.ts'

const { user, password } = login
const phpMailer = '/usr/share/php/libphp-phpmailer/autoload.php'

function withoutGitSendEmail(): string | false {
  const { stdout } = spawnSync('git', ['--exec-path'], { encoding: 'utf8' })
  return stdout !== undefined && existsSync(join(stdout.trim(), 'git-send-email')) ? false : 'not installed: git-email'
}

function withoutPhpMailer(): string | false {
  return existsSync(phpMailer) ? without('php') : 'not installed: libphp-phpmailer'
}

export function sendingCode(world: () => LoginInstance): void {
  for (const [door, name] of [
    ['587', 'submission'],
    ['465', 'submissions'],
  ] as const) {
    const isTls = name === 'submissions'

    it(`git send-email on ${door}`, { skip: withoutGitSendEmail() }, async () => {
      const { quaver, caFile } = world()
      const subject = `git ${door}`
      const patch = join(quaver.home, `${door}.patch`)
      // As git format-patch writes it: with a line of an mbox in front.
      const author = `From: ${user}`
      const lines = [`From ${'a1b2'.repeat(10)} Mon Sep 17 00:00:00 2001`, author]
      await writeFile(patch, [...lines, `Subject: ${subject}`, '', `.dot of ${subject}`, ''].join('\n'))
      const args = ['send-email', '--smtp-server=localhost', `--smtp-server-port=${quaver.portOf(name)}`]
      args.push(`--smtp-encryption=${isTls ? 'ssl' : 'tls'}`, `--smtp-ssl-cert-path=${caFile}`, `--smtp-user=${user}`)
      args.push(`--smtp-pass=${password}`, `--from=${user}`, `--to=${user}`, `--bcc=${user}`, '--confirm=never')
      args.push('--suppress-cc=all', '--8bit-encoding=UTF-8', patch)
      const settings = [
        `HOME=${quaver.home}`,
        'GIT_CONFIG_GLOBAL=/dev/null',
        'GIT_CONFIG_SYSTEM=/dev/null',
        `EMAIL=${user}`,
        // An account of the machine may have no name of its own.
        'GIT_COMMITTER_NAME=Demo',
        'GIT_AUTHOR_NAME=Demo',
      ]
      const sent = await run('env', ['-C', quaver.home, ...settings, 'git', ...args])
      assert.equal(sent.code, 0, sent.stdout + sent.stderr)
      await assertArrived(world(), subject)
    })

    it(`PHPMailer on ${door}`, { skip: withoutPhpMailer() }, async () => {
      const { quaver, caFile } = world()
      const subject = `PHPMailer ${door}`
      const file = join(quaver.home, `${door}.php`)
      await writeFile(file, php)
      const args = [file, String(quaver.portOf(name)), isTls ? 'ssl' : 'tls', caFile, user, password, subject]
      const { code, stdout, stderr } = await run('php', args)
      assert.equal(code, 0, stdout + stderr)
      await assertArrived(world(), subject)
    })
  }
}

const php = `<?php
require '${phpMailer}';
[, $port, $secure, $ca, $user, $password, $subject] = $argv;
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->isSMTP();
$mail->Host = 'localhost';
$mail->Port = (int) $port;
$mail->SMTPSecure = $secure;
$mail->SMTPAuth = true;
$mail->SMTPOptions = ['ssl' => ['cafile' => $ca]];
$mail->Username = $user;
$mail->Password = $password;
$mail->setFrom($user, 'Doe, J');
$mail->addAddress($user, 'J. "D" Doe');
$mail->addBCC($user);
$mail->Subject = $subject;
$mail->Body = ".dot of $subject";
$mail->send();
`
