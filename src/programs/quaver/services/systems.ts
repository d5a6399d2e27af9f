/** Every init system that Quaver can be a service of: how to recognize it, its files, and instructions for the administrator.
 *  Never:  enables or starts anything. */
import { existsSync, readFileSync } from 'node:fs'
import { freebsdFiles, netbsdFiles, openbsdFiles } from './bsd.ts'
import { actionNames, type BootService, serviceName, type ServiceFile } from './description.ts'
import { initScript, openrcFiles, sysvFiles } from './init-scripts.ts'
import { launchdFile, launchdFiles, launchdLabel, smfFile, smfFiles } from './launchd-smf.ts'
import {
  daemontoolsDirectory,
  daemontoolsFiles,
  runitDirectory,
  runitFiles,
  s6Directory,
  s6Files,
} from './supervisors.ts'
import { systemdFiles } from './systemd.ts'

export interface InitSystem {
  readonly title: string
  readonly isHere: () => boolean
  readonly files: (service: BootService) => readonly ServiceFile[]
  /** Commands for the administrator: to enable at boot, to start now, and to undo. */
  readonly enable: string
  readonly start: string
  readonly disable: string
  /** Run when its files are removed, so that it forgets them. */
  readonly forget?: string
  /** How its sub-commands are called, if it has them. */
  readonly call?: string
}

const isDirectory = (path: string) => (): boolean => existsSync(path)
const onPlatform = (name: NodeJS.Platform, path: string) => (): boolean => process.platform === name && existsSync(path)

/** The name of process 1; empty where the system does not tell. */
function firstProcess(): string {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim()
  } catch {
    return ''
  }
}

export const initSystems = {
  systemd: {
    title: 'systemd',
    isHere: isDirectory('/run/systemd/system'),
    files: systemdFiles,
    enable: `systemctl daemon-reload && systemctl enable ${serviceName}`,
    start: `systemctl start ${serviceName}`,
    disable: `systemctl disable --now ${serviceName}`,
    forget: 'systemctl daemon-reload',
  },
  openrc: {
    title: 'OpenRC',
    isHere: isDirectory('/run/openrc/softlevel'),
    files: openrcFiles,
    enable: `rc-update add ${serviceName} default`,
    start: `rc-service ${serviceName} start`,
    disable: `rc-service ${serviceName} stop; rc-update del ${serviceName}`,
    call: `rc-service ${serviceName}`,
  },
  runit: {
    title: 'runit',
    isHere: () => ['runit', 'runsvdir'].includes(firstProcess()),
    files: runitFiles,
    enable: `ln -s ${runitDirectory} /etc/service/`,
    start: `sv start ${serviceName}`,
    disable: `sv down ${serviceName}; rm /etc/service/${serviceName}`,
  },
  s6: {
    title: 's6',
    isHere: () => firstProcess() === 's6-svscan',
    files: s6Files,
    enable: `ln -s ${s6Directory} /run/service/ && s6-svscanctl -a /run/service`,
    start: `s6-svc -uwU /run/service/${serviceName}`,
    disable: `s6-svc -dwD /run/service/${serviceName}; rm /run/service/${serviceName} && s6-svscanctl -an /run/service`,
  },
  daemontools: {
    title: 'daemontools',
    isHere: () => firstProcess() === 'svscan' || existsSync('/service'),
    files: daemontoolsFiles,
    enable: `ln -s ${daemontoolsDirectory} /service/`,
    start: `svc -u /service/${serviceName}`,
    disable: `cd /service/${serviceName} && rm /service/${serviceName} && svc -dx . log`,
  },
  sysv: {
    title: 'SysV init',
    isHere: () => existsSync('/etc/init.d') && existsSync('/etc/inittab'),
    files: sysvFiles,
    enable: `update-rc.d ${serviceName} defaults   (Red Hat: chkconfig --add ${serviceName})`,
    start: `${initScript} start`,
    disable: `${initScript} stop; update-rc.d ${serviceName} remove`,
    call: initScript,
  },
  netbsd: {
    title: 'NetBSD',
    isHere: onPlatform('netbsd', '/etc/rc.subr'),
    files: netbsdFiles,
    enable: `echo ${serviceName}=YES >> /etc/rc.conf`,
    start: `/etc/rc.d/${serviceName} start`,
    disable: `/etc/rc.d/${serviceName} stop; and take ${serviceName}=YES out of /etc/rc.conf`,
    call: `/etc/rc.d/${serviceName}`,
  },
  freebsd: {
    title: 'FreeBSD',
    isHere: onPlatform('freebsd', '/etc/rc.subr'),
    files: freebsdFiles,
    enable: `sysrc ${serviceName}_enable=YES`,
    start: `service ${serviceName} start`,
    disable: `service ${serviceName} stop; sysrc -x ${serviceName}_enable`,
    call: `service ${serviceName}`,
  },
  openbsd: {
    title: 'OpenBSD',
    isHere: onPlatform('openbsd', '/etc/rc.d/rc.subr'),
    files: openbsdFiles,
    enable: `rcctl enable ${serviceName}`,
    start: `rcctl start ${serviceName}`,
    disable: `rcctl stop ${serviceName}; rcctl disable ${serviceName}`,
    call: `/etc/rc.d/${serviceName}`,
  },
  launchd: {
    title: 'launchd (macOS)',
    isHere: onPlatform('darwin', '/Library/LaunchDaemons'),
    files: launchdFiles,
    enable: `launchctl bootstrap system ${launchdFile}`,
    start: `launchctl kickstart system/${launchdLabel}`,
    disable: `launchctl bootout system/${launchdLabel}`,
  },
  smf: {
    title: 'SMF (illumos)',
    isHere: onPlatform('sunos', '/lib/svc/manifest'),
    files: smfFiles,
    enable: `svccfg import ${smfFile} && svcadm enable ${serviceName}`,
    start: `svcadm enable ${serviceName}`,
    disable: `svcadm disable -s ${serviceName} && svccfg delete ${serviceName}`,
  },
} as const satisfies Record<string, InitSystem>

export type InitSystemName = keyof typeof initSystems

export const initSystemNames = Object.keys(initSystems) as readonly InitSystemName[]

/** The one that this machine runs; undefined if none is known. */
export function systemHere(): InitSystemName | undefined {
  return initSystemNames.find((name) => initSystems[name].isHere())
}

/** What to do by hand, a line each. */
export function nextSteps(name: InitSystemName): string[] {
  const { enable, start, call }: InitSystem = initSystems[name]
  const steps = [`at every boot: ${enable}`, `now:           ${start}`]
  return call === undefined ? steps : [...steps, `and then:      ${call} ${actionNames.join('|')}`]
}
