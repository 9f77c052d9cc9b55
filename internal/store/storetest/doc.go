// Package storetest holds what every storage driver is tested with, and what
// everything above a driver is tested on.
//
// Test runs the suite that says, sentence by sentence, what package store
// promises; Model compares a driver with a plain reference under random calls.
// Memory is a driver that keeps everything in memory: right, quick, able to
// crash and to be several nodes. Failing wraps any store and fails on command.
package storetest
