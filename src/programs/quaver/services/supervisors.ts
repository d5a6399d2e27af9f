/** Service directories for runit, s6 and daemontools: a `run` that becomes `quaver start`, and a logger beside it. */
import { type BootService, quoted, serviceName, type ServiceFile, stopSecondsMax } from './description.ts'

const logDirectory = `/var/log/${serviceName}`

export const runitDirectory = `/etc/sv/${serviceName}`
export const s6Directory = `/etc/s6/sv/${serviceName}`
export const daemontoolsDirectory = `/etc/daemontools/${serviceName}`

export function runitFiles(service: BootService): readonly ServiceFile[] {
  return [
    script(`${runitDirectory}/run`, start(service)),
    script(`${runitDirectory}/check`, `exec ${command(service, 'status')} >/dev/null`),
    script(`${runitDirectory}/log/run`, logger('svlogd -tt')),
  ]
}

export function s6Files(service: BootService): readonly ServiceFile[] {
  return [
    script(`${s6Directory}/run`, start(service, ' --ready-fd 3')),
    plain(`${s6Directory}/notification-fd`, '3'),
    plain(`${s6Directory}/timeout-kill`, String(stopSecondsMax * 1000)),
    script(`${s6Directory}/log/run`, logger('s6-log t')),
  ]
}

export function daemontoolsFiles(service: BootService): readonly ServiceFile[] {
  return [
    script(`${daemontoolsDirectory}/run`, start(service)),
    script(`${daemontoolsDirectory}/log/run`, logger('multilog t')),
  ]
}

/** It becomes the service: signals of the supervisor go to \`start\`. */
function start(service: BootService, more = ''): string {
  return `exec 2>&1\nexec ${command(service, 'start')} --log stderr${more}`
}

function command({ launcher, home }: BootService, name: string): string {
  return `${quoted(launcher)} ${name} --home ${quoted(home)}`
}

function logger(call: string): string {
  return `mkdir -p ${logDirectory} || exit 111\nexec ${call} ${logDirectory}`
}

function script(path: string, body: string): ServiceFile {
  return { path, mode: 0o755, text: `#!/bin/sh\n${body}\n` }
}

function plain(path: string, line: string): ServiceFile {
  return { path, mode: 0o644, text: `${line}\n` }
}
