package imapserver

import (
	"postern/internal/imapwire"
	"postern/internal/mail"
	"postern/internal/search"
)

// thread is the commands THREAD and UID THREAD (RFC 5256).
func (s *session) thread(c *command) error {
	var args imapwire.ThreadArgs
	if !s.r.ExpectThreadArgs(&args) {
		return s.r.Err()
	}
	if err := s.sortAllowed(&args.SearchArgs); err != nil {
		return err
	}
	program, err := search.Compile(args.Criteria, s.searchEnv(s.box, false))
	if err != nil {
		return err
	}
	threader := search.NewThreader(args.Algorithm, s.compare.Collation)
	var threads mail.Threads
	err = s.forFound(program, threader.Needs(), threader.Add, func(*findings) { threads = threader.Threads() })
	if err != nil {
		return err
	}
	for i := range threads.Nodes {
		if node := &threads.Nodes[i]; node.Num != 0 {
			node.Num = s.numberOf(c, mail.UID(node.Num))
		}
	}
	s.w.Threads(&threads)
	return nil
}
