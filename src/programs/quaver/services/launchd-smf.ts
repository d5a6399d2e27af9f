/** XML: a property list for launchd (macOS), a manifest for SMF (illumos, Solaris). */
import {
  type BootService,
  serviceName,
  type ServiceFile,
  serviceTitle,
  startSecondsMax,
  stopSecondsMax,
} from './description.ts'

export const launchdLabel = 'org.quaver.mail'
export const launchdFile = `/Library/LaunchDaemons/${launchdLabel}.plist`
export const smfFile = `/lib/svc/manifest/network/${serviceName}.xml`

export function launchdFiles({ launcher, home }: BootService): readonly ServiceFile[] {
  const words = [launcher, 'start', '--home', home, '--log', 'stamp']
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${launchdLabel}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((one) => `    <string>${escaped(one)}</string>`).join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ExitTimeOut</key>
  <integer>${stopSecondsMax}</integer>
  <key>StandardErrorPath</key>
  <string>/var/log/${serviceName}.log</string>
</dict>
</plist>
`
  return [{ path: launchdFile, mode: 0o644, text }]
}

export function smfFiles({ launcher, home }: BootService): readonly ServiceFile[] {
  const call = (words: string): string => escaped(`"${launcher}" ${words} --home "${home}"`)
  const dependency = (name: string, fmri: string): string =>
    `    <dependency name='${name}' grouping='require_all' restart_on='none' type='service'>
      <service_fmri value='${fmri}'/>
    </dependency>`
  const method = (name: string, words: string, seconds: number): string =>
    `    <exec_method type='method' name='${name}' exec='${call(words)}' timeout_seconds='${seconds}'/>`
  const text = `<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='manifest' name='${serviceName}'>
  <service name='network/${serviceName}' type='service' version='1'>
    <create_default_instance enabled='false'/>
    <single_instance/>
${dependency('network', 'svc:/milestone/network:default')}
${dependency('filesystem', 'svc:/system/filesystem/local:default')}
${method('start', 'start --background', startSecondsMax)}
${method('stop', 'stop', stopSecondsMax)}
${method('refresh', 'reload', 60)}
    <property_group name='startd' type='framework'>
      <propval name='duration' type='astring' value='contract'/>
    </property_group>
    <stability value='Evolving'/>
    <template>
      <common_name>
        <loctext xml:lang='C'>${serviceTitle}</loctext>
      </common_name>
    </template>
  </service>
</service_bundle>
`
  return [{ path: smfFile, mode: 0o444, text }]
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;')
    .replaceAll('"', '&quot;')
}
