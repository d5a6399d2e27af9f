/** authd: says who somebody is. Runs as qmailp, and gives way to every other process: hashing is dear.
 *  Touches: HOME/auth (passwd reads; salt-key, guard.sqlite), control/me, envnoathost, locals, checkpassword,
 *           oauthissuers, HOME/issuers/keys.json (reads).
 *  Never:   sees mail or a mailbox; lets anybody in whom lspawn has not been told of.
 *  Fails:   what cannot be found out is `temporary`; a password file that cannot be read leaves in force what it said. */
import { giveLargeBlocksBack } from '../../system/allocator.ts'
import { giveWay } from '../../system/priority.ts'

giveWay()
giveLargeBlocksBack()
const { serve } = await import('./serve.ts')
await serve()
