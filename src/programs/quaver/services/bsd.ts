/** rc.d scripts for NetBSD, FreeBSD and OpenBSD, each with the sub-commands that qmail-run has. */
import {
  actionBranches,
  actionNames,
  actions,
  type BootService,
  quaverFunctions,
  quoted,
  serviceName,
  type ServiceFile,
} from './description.ts'

const pidFile = `/var/run/${serviceName}.pid`

export function netbsdFiles(service: BootService): readonly ServiceFile[] {
  return [{ path: `/etc/rc.d/${serviceName}`, mode: 0o755, text: rcSubr(service, serviceName, '') }]
}

export function freebsdFiles(service: BootService): readonly ServiceFile[] {
  const text = rcSubr(service, `${serviceName}_enable`, `: \${${serviceName}_enable:="NO"}\n`)
  return [{ path: `/usr/local/etc/rc.d/${serviceName}`, mode: 0o755, text }]
}

/** rc.subr(8) of both: the variable in rc.conf has another name. */
function rcSubr({ launcher, home }: BootService, variable: string, defaults: string): string {
  const commands = actions.flatMap(({ names, command }) => names.map((name) => `${name}_cmd="quaver ${command}"`))
  return `#!/bin/sh
#
# PROVIDE: ${serviceName} mail
# REQUIRE: LOGIN
# KEYWORD: shutdown

. /etc/rc.subr

name="${serviceName}"
rcvar="${variable}"
command=${quoted(launcher)}
pidfile="${pidFile}"
extra_commands="${['status', ...actionNames].join(' ')}"

start_cmd="quaver start --background --pid-file \${pidfile}"
stop_cmd="quaver_stop"
status_cmd="quaver status"
${commands.join('\n')}

quaver() { "\${command}" "$@" --home "\${${serviceName}_home}"; }
quaver_stop() { quaver stop && rm -f "\${pidfile}"; }

load_rc_config "\${name}"
${defaults}: \${${serviceName}_home:=${quoted(home)}}

run_rc_command "$1"
`
}

/** rc.subr(8) of OpenBSD knows its own actions only. */
export function openbsdFiles(service: BootService): readonly ServiceFile[] {
  const text = `#!/bin/ksh

daemon=${quoted(service.launcher)}

. /etc/rc.d/rc.subr

${quaverFunctions(service)}

rc_bg=NO
rc_start() { quaver start --background; }
rc_stop() { quaver stop; }
rc_check() { runs; }
rc_reload() { quaver reload; }

case \${1-} in
${actionBranches('  ').replace('reload|hup)', 'hup)')}
  *) rc_cmd "$1" ;;
esac
`
  return [{ path: `/etc/rc.d/${serviceName}`, mode: 0o755, text }]
}
