/** What a front says of a connection, where a test does not care. */
import type { SessionFacts } from '../../src/contracts/sessions.ts'

export const sessionFacts: SessionFacts = {
  remoteHost: '',
  localIp: '192.0.2.1',
  localPort: 995,
  tlsProtocol: 'TLSv1.3',
  tlsCipher: 'TLS_AES_256_GCM_SHA384',
  helo: '',
  extended: false,
}
