/** Prints a message as it was taken from whoever runs this, after a filter that says its uid. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SubmissionRig } from '../kit/submission.ts'

const rig = new SubmissionRig()
mkdirSync(rig.home.bin)
writeFileSync(join(rig.home.bin, 'uid'), '#!/bin/sh\necho "X-Uid: $(id -u)"; cat\n')
chmodSync(join(rig.home.bin, 'uid'), 0o755)
rig.control('ofmipfilters', 'bin/uid')
await rig.start()
const client = await rig.login()
await client.submit('Subject: x\r\n')
process.stdout.write(rig.enqueuer.taken[0]?.content ?? client.output)
await client.end()
await rig.stop()
