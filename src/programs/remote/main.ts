/** remote: takes attempts from the queue and delivers them to other hosts by SMTP. With `--once` it is qmail-remote: one
 *  message, on descriptor 0, and its reports on descriptor 1.
 *  May touch: control/ (read), HOME/run/queue-remote.sock, the network. Runs as qmailr. */
import { parseArgs } from 'node:util'
import { homeAt } from '../../stores/home/layout.ts'
import { deliverOnce } from './once.ts'
import { serve } from './serve.ts'

const { values, positionals } = parseArgs({
  options: {
    home: { type: 'string' },
    demo: { type: 'boolean' },
    listen: { type: 'string' },
    once: { type: 'boolean' },
  },
  allowPositionals: true,
})
const home = homeAt(values.home ?? '.')
if (values.once === true) await deliverOnce(home, positionals)
else await serve(home)
