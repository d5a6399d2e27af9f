/** The services that a Quaver can have: one row a service. Every list of services, listeners, their ports, control files or
 *  rules is read from this table; a new service is a row here and the program that serves it. */

/** One way in. Its name is that of its SRV record (RFC 6186, RFC 8314), and of its file, control/listen-NAME. */
interface ListenerRow {
  readonly port: number
  /** On loopback; 2000 + port unless said. */
  readonly demoPort?: number
  /** `TLS` from the first byte, or the command that begins it; empty: the service does not need it. */
  readonly tls: '' | 'STARTTLS' | 'STLS' | 'TLS'
}

interface ServiceRow {
  /** As `start` calls it: in status, and as the tag of its log lines. */
  readonly program: string
  /** As people call it. */
  readonly title: string
  readonly listeners: Readonly<Record<string, ListenerRow>>
  /** Its rules for clients are in control/tcprules/NAME. */
  readonly rules?: string
  /** It begins with a login, after which the user's own process serves the session. */
  readonly login?: {
    /** The ALPN protocol that clients may ask for (RFC 7301). */
    readonly alpn: string
    /** What a mail program uses it for. */
    readonly purpose: 'sending' | 'fetching'
  }
  /** It listens only where its file control/listen-NAME is there, not by default. */
  readonly onRequest?: true
}

export const services = {
  smtp: {
    program: 'smtpd',
    title: 'SMTP',
    rules: 'smtp',
    listeners: { smtp: { port: 25, demoPort: 2525, tls: '' } },
  },
  submission: {
    program: 'ofmipd',
    title: 'submission',
    rules: 'ofmip',
    login: { alpn: 'smtp', purpose: 'sending' },
    listeners: { submission: { port: 587, tls: 'STARTTLS' }, submissions: { port: 465, tls: 'TLS' } },
  },
  pop3: {
    program: 'pop3d',
    title: 'POP3',
    rules: 'pop3',
    login: { alpn: 'pop3', purpose: 'fetching' },
    listeners: { pop3: { port: 110, tls: 'STLS' }, pop3s: { port: 995, tls: 'TLS' } },
  },
  qmtp: {
    program: 'qmtpd',
    title: 'QMTP',
    rules: 'qmtp',
    onRequest: true,
    listeners: { qmtp: { port: 209, tls: '' } },
  },
  qmqp: {
    program: 'qmqpd',
    title: 'QMQP',
    rules: 'qmqp',
    onRequest: true,
    listeners: { qmqp: { port: 628, tls: '' } },
  },
  local: { program: 'lspawn', title: 'local delivery', listeners: {} },
  remote: { program: 'remote', title: 'remote delivery', listeners: {} },
  qread: {
    program: 'qread',
    title: 'the queue',
    onRequest: true,
    listeners: { qread: { port: 20025, demoPort: 20025, tls: '' } },
  },
  http: {
    program: 'httpd',
    title: 'HTTP for an authority’s challenges',
    onRequest: true,
    listeners: { http: { port: 80, tls: '' } },
  },
  https: {
    program: 'httpsd',
    title: 'HTTPS for policies of MTA-STS',
    onRequest: true,
    listeners: { https: { port: 443, tls: 'TLS' } },
  },
} as const satisfies Record<string, ServiceRow>

type Services = typeof services
export type ServiceName = keyof Services
export type ListenerName = { [S in ServiceName]: keyof Services[S]['listeners'] }[ServiceName]
/** Those with a login. */
export type LoginService = {
  [S in ServiceName]: Services[S] extends { readonly login: object } ? S : never
}[ServiceName]
/** For other mail programs, which may relay; closed to strangers. */
export const relayServices = ['qmtp', 'qmqp'] as const satisfies readonly ServiceName[]
export type RelayService = (typeof relayServices)[number]
export type RulesName = Extract<Services[ServiceName], { readonly rules: string }>['rules']

export interface Listener {
  readonly name: ListenerName
  readonly service: ServiceName
  readonly port: number
  readonly demoPort: number
  readonly tls: ListenerRow['tls']
  /** In control/. */
  readonly file: `listen-${ListenerName}`
}

const rows: readonly (readonly [ServiceName, ServiceRow])[] = Object.entries(services) as [ServiceName, ServiceRow][]

export const serviceNames: readonly ServiceName[] = rows.map(([name]) => name)

export const loginServices: readonly LoginService[] = rows
  .filter(([, { login }]) => login !== undefined)
  .map(([name]) => name as LoginService)

export const rulesNames: readonly RulesName[] = rows.flatMap(([, { rules }]) =>
  rules === undefined ? [] : [rules as RulesName],
)

/** The programs that read these rules. */
export function readersOfRules(name: RulesName): string[] {
  return rows.filter(([, { rules }]) => rules === name).map(([, { program }]) => program)
}

export const listeners: readonly Listener[] = rows.flatMap(([service, row]) =>
  Object.entries(row.listeners).map(([key, { port, demoPort = 2000 + port, tls }]) => {
    const name = key as ListenerName
    return { name, service, port, demoPort, tls, file: listenFile(name) }
  }),
)

/** The listener's file in control/. */
export function listenFile<Name extends ListenerName>(name: Name): `listen-${Name}` {
  return `listen-${name}`
}

const byName: ReadonlyMap<string, Listener> = new Map(listeners.map((listener) => [listener.name, listener]))

/** Undefined if it is no listener's name. */
export function findListener(name: string): Listener | undefined {
  return byName.get(name)
}

export function listenersOf(service: ServiceName): readonly Listener[] {
  return listeners.filter((listener) => listener.service === service)
}

export function titleOf(service: ServiceName): string {
  return services[service].title
}
