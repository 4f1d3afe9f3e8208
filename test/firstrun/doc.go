// Package firstrun meets the product as a new user does: an empty home, one agent on
// the PATH or none, a repository, a first turn. The agents are the real programs with a
// scripted model on loopback; `make test-agents` installs them and runs this.
package firstrun
