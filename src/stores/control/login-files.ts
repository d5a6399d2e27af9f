/** Control files that say who may log in, and how. */
export const loginFiles = {
  checkpassword: {
    form: 'line',
    meaning:
      'program and arguments that check a name and a password for a login, as qmail’s checkpassword; absent = none',
    readBy: ['lspawn', 'authd'],
    reread: 'live',
  },
  oauthissuers: {
    form: 'list',
    meaning: 'who may say by a token who somebody is: https URL of the issuer, audience, claim that holds the address',
    readBy: ['issuers', 'authd'],
    reread: 'live',
  },
} as const
