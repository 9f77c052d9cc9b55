package imapserver

// harmless are the commands that change nothing: what somebody may do who signed in
// with an app password for reading only. SELECT is EXAMINE for them. A command that
// is not here is refused, so that one which is new does no harm.
var harmless = map[string]bool{
	"CAPABILITY": true, "NOOP": true, "LOGOUT": true, "ID": true, "ENABLE": true, "COMPRESS": true, "UNAUTHENTICATE": true,
	"SELECT": true, "EXAMINE": true, "LIST": true, "LSUB": true, "XLIST": true, "NAMESPACE": true, "STATUS": true, "IDLE": true, "NOTIFY": true,
	"GETMETADATA": true, "URLFETCH": true, "GETQUOTA": true, "GETQUOTAROOT": true, "MYRIGHTS": true, "LANGUAGE": true, "COMPARATOR": true,
	"CHECK": true, "CLOSE": true, "UNSELECT": true, "CANCELUPDATE": true, "UIDBATCHES": true,
	"SEARCH": true, "UID SEARCH": true, "ESEARCH": true, "SORT": true, "UID SORT": true, "THREAD": true, "UID THREAD": true,
	"FETCH": true, "UID FETCH": true,
}
