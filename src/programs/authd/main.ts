/** authd: checks logins. Runs as qmailp at low priority, since hashing is expensive.
 *  Touches: HOME/auth (passwd reads; salt-key, guard.sqlite), control/me, envnoathost, locals, checkpassword,
 *           oauthissuers, HOME/issuers/keys.json (reads).
 *  Never:   sees mail or a mailbox; lets a client in before lspawn has the ticket.
 *  Fails:   `temporary` for whatever cannot be determined; if the password file cannot be read, its last content stays in
 *           force. */
import { giveLargeBlocksBack } from '../../system/allocator.ts'
import { giveWay } from '../../system/priority.ts'

giveWay()
giveLargeBlocksBack()
const { serve } = await import('./serve.ts')
await serve()
