package account

import "context"

// Housekeep does once what the pool otherwise does every Options.Every.
func (p *Pool) Housekeep(ctx context.Context) error { return nil }
