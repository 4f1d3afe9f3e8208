package acp

import "time"

// SetWriteTimeout shortens the wait for an agent that does not read.
func (d *Driver) SetWriteTimeout(t time.Duration) { d.writeTimeout = t }

func (d *Driver) SetOpenTimeout(to time.Duration) { d.openTimeout = to }
