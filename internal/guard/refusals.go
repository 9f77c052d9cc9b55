package guard

import "postern/internal/mail"

// refusals are the last tries that were refused, so that an administrator can be
// told why.
type refusals struct {
	kept [keptRefusals]refusal
	next int
}

const keptRefusals = 4096

type refusal struct {
	at      uint32
	account mail.AccountID
	from    network
	verdict Verdict
}

func (r *refusals) add(one refusal) {
	r.kept[r.next] = one
	r.next = (r.next + 1) % keptRefusals
}

// of gives those of an account, the newest first.
func (r *refusals) of(account mail.AccountID) []refusal {
	var out []refusal
	for i := range keptRefusals {
		one := r.kept[(r.next-1-i+keptRefusals)%keptRefusals]
		if one.at == 0 {
			break
		}
		if one.account == account {
			out = append(out, one)
		}
	}
	return out
}
