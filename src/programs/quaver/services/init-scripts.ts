/** Scripts for SysV init and OpenRC: neither supervises, so `quaver start --background` does, and waits until it serves. */
import {
  actionBranches,
  actionNames,
  actions,
  type BootService,
  quaverFunctions,
  serviceName,
  type ServiceFile,
  serviceTitle,
} from './description.ts'

const pidFile = `/run/${serviceName}.pid`
export const initScript = `/etc/init.d/${serviceName}`

export function sysvFiles(service: BootService): readonly ServiceFile[] {
  const text = `#!/bin/sh
# chkconfig: 2345 70 30
# description: ${serviceTitle}
### BEGIN INIT INFO
# Provides:          ${serviceName} mail-transport-agent
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Should-Start:      $named $time $syslog
# Should-Stop:       $named $syslog
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: ${serviceTitle}
### END INIT INFO

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
${quaverFunctions(service)}

case \${1-} in
  start)
    runs && exit 0
    echo "Starting ${serviceTitle}: ${serviceName}"
    quaver start --background --pid-file ${pidFile}
    ;;
  stop)
    runs || exit 0
    echo "Stopping ${serviceTitle}: ${serviceName}"
    quaver stop && rm -f ${pidFile}
    ;;
  restart) "$0" stop && "$0" start ;;
  force-reload) quaver reload ;;
  status) quaver status || { runs || exit 3; } ;;
${actionBranches('  ')}
  *)
    echo "Usage: $0 {start|stop|restart|force-reload|status|${actionNames.join('|')}}" >&2
    exit 2
    ;;
esac
`
  return [{ path: initScript, mode: 0o755, text }]
}

export function openrcFiles(service: BootService): readonly ServiceFile[] {
  const functions = actions.flatMap(({ names, command }) => names.map((name) => `${name}() { quaver ${command}; }`))
  const described = actions.flatMap(({ names, meaning }) => names.map((name) => `description_${name}="${meaning}"`))
  const text = `#!/sbin/openrc-run
name="${serviceName}"
description="${serviceTitle}"
extra_started_commands="${actionNames.join(' ')}"
${described.join('\n')}

${quaverFunctions(service)}

depend() {
  need net localmount
  use dns logger clock
  after firewall
  provide mta
}

start() {
  ebegin "Starting \${name}"
  quaver start --background --pid-file ${pidFile}
  eend $?
}

stop() {
  ebegin "Stopping \${name}"
  quaver stop && rm -f ${pidFile}
  eend $?
}

status() { quaver status; }
${functions.join('\n')}
`
  return [{ path: initScript, mode: 0o755, text }]
}
