// Package auth answers who somebody is: which account an address names, and
// whether the password is right.
//
// It has four parts. Rules (address.go) turns an address, as people and mail
// servers write it, into the one canonical form under which the directory knows
// it; login, delivery and the command line all ask the same function.
// Credentials (credentials.go) is the record that is stored with an account.
// Authenticator checks a name and a password against a Directory, with as much
// care for what an attacker can learn or cost us as for the answer. Mechanism is
// the SASL dialogue around it, free of IMAP's base64.
//
// What a stranger can tell from a failure: nothing. An unknown user, a wrong
// password and an account that may not sign in give the same error after the
// same work.
package auth
