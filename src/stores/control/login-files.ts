/** Control files that say who may log in, and how. */
export const loginFiles = {
  checkpassword: {
    form: 'line',
    meaning:
      'program and arguments that check a name and a password for a login, as qmail’s checkpassword; absent = none',
    readBy: ['lspawn', 'authd'],
    reread: 'live',
  },
} as const
