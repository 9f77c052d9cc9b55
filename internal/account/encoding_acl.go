package account

import "postern/internal/mail"

// appendACL writes an access control list: the number of grants, then for each
// the account, twice that and one more if the grant is negative, and the rights.
func appendACL(dst []byte, l mail.ACL) []byte {
	dst = appendUint(dst, uint64(len(l)))
	for _, g := range l {
		who := uint64(g.Account) << 1
		if g.Negative {
			who |= 1
		}
		dst = appendUint(dst, who)
		dst = appendUint(dst, uint64(g.Rights))
	}
	return dst
}

func (d *decoder) acl() mail.ACL {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	l := make(mail.ACL, 0, n)
	for range n {
		who, rights := d.uint(), d.uint()
		if rights > uint64(mail.AllRights) {
			d.fail("a right is unknown")
			return nil
		}
		l = append(l, mail.Grant{Account: mail.AccountID(who >> 1), Negative: who&1 != 0, Rights: mail.Rights(rights)})
	}
	if d.err == nil && !l.Sound() {
		d.fail("an access control list is out of order")
		return nil
	}
	return l
}
