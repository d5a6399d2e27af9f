/** A unit for systemd: hardened as far as programs of users' `.qmail` files allow, whose homes it must reach. */
import {
  type BootService,
  grants,
  serviceName,
  type ServiceFile,
  serviceTitle,
  startSecondsMax,
  stopSecondsMax,
} from './description.ts'

export const systemdUnit = `/etc/systemd/system/${serviceName}.service`

export function systemdFiles(service: BootService): readonly ServiceFile[] {
  return [{ path: systemdUnit, mode: 0o644, text: unit(service) }]
}

function unit({ launcher, home, configuration }: BootService): string {
  const words = [launcher, 'start', '--home', home, '--log', 'journal'].map(word)
  return `[Unit]
Description=${serviceTitle}
After=network-online.target nss-lookup.target time-sync.target remote-fs.target
Wants=network-online.target
Conflicts=postfix.service exim4.service sendmail.service

[Service]
Type=notify
ExecStart=${words.join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
TimeoutStartSec=${startSecondsMax}
TimeoutStopSec=${stopSecondsMax}
WatchdogSec=60
# It stops its programs in order itself.
KillMode=mixed
OOMPolicy=continue
LimitNOFILE=524288
TasksMax=infinity

# What root's two processes need; all others have accounts of their own:
${grants.map(({ capability, because }) => `#   ${capability}: ${because}`).join('\n')}
CapabilityBoundingSet=${grants.map(({ capability }) => capability).join(' ')}
# A program in a user's .qmail gets no more rights by being set-uid (sudo, procmail); 'systemctl edit ${serviceName}' takes
# this back, if one needs them.
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths=${[home, ...configuration].map((path) => word(`-${path}`)).join(' ')}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
}

/** systemd.service(5): quotes as in C, % and $ doubled. */
function word(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', () => '$$')
  return /^[\w/.:@%+,$-]+$/.test(escaped)
    ? escaped
    : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', String.raw`\"`)}"`
}
