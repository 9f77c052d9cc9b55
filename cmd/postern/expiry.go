package main

import (
	"context"
	"log/slog"
	"time"

	"postern/internal/observe"
)

// lookAtExpiry is how often the end of the certificates is looked at, and what is counted of old clients is kept.
const lookAtExpiry = 6 * time.Hour

// watchExpiry warns, from thirty days before the first certificate ends, at each look; the metric is always told.
func (s *server) watchExpiry(ctx context.Context) {
	until := s.metrics.Gauge("postern_certificate_seconds", "Seconds until the first of the certificates ends to be valid.")
	tick := time.NewTicker(lookAtExpiry)
	defer tick.Stop()
	for {
		until.Set(time.Until(s.certs.Expiry()).Seconds())
		s.warnOfExpiry(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.old.save(ctx, s.store.Shelf()); err != nil && ctx.Err() == nil {
			s.log.Warn("what was counted of clients with old TLS could not be kept", observe.Error(err))
		}
	}
}

// warnOfExpiry warns where a certificate ends soon. One of our own is made anew at the next start.
func (s *server) warnOfExpiry(now time.Time) {
	switch end := s.certs.Expiry(); {
	case !now.Before(end):
		s.log.Error("the certificate is no longer valid: clients refuse it", slog.Time("until", end))
	case end.Sub(now) < certificateWarning:
		s.log.Warn("the certificate ends soon: put a new one in its place, it is taken up by itself", slog.Time("until", end))
	}
}
