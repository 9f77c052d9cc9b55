package imapserver

// KnownClients are the rules for clients that are known to need one, as data: who
// they are, what is changed for them, and where it is known from. What helps a
// client and harms no other is not here but done for all; docs/clients.md lists
// that, with the dialogue that holds us to it.
func KnownClients() []Rule {
	return []Rule{
		{
			Name:    "Microsoft 365 enables UIDONLY where it is announced and then asks by message number",
			Source:  "modern-email/defects#49, mjl-/mox#388",
			Clients: []string{"Microsoft Office 365 *"},
			Hide:    []string{"UIDONLY"},
		},
		{
			Name:     "K-9 Mail wakes the phone at every sign of life in IDLE",
			Source:   "thunderbird-android#5685, #1290",
			Clients:  []string{"K-9 Mail *"},
			Behavior: QuietIdle,
		},
		{
			Name:     "Thunderbird for Android does likewise",
			Source:   "thunderbird-android#5685",
			Clients:  []string{"Thunderbird for Android *"},
			Behavior: QuietIdle,
		},
	}
}
