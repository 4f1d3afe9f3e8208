package codex

import "time"

// SetWriteTimeout shortens the wait for an agent that does not read.
func (d *Driver) SetWriteTimeout(t time.Duration) { d.writeTimeout = t }

// SetFirstWait shortens the waits of an overloaded agent.
func (d *Driver) SetFirstWait(t time.Duration) { d.firstWait = t }
