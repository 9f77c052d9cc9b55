package dialogue

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// prepare makes the accounts, fills their mailboxes and connects the clients.
func (p *player) prepare(ctx context.Context) error {
	accounts := []string{mainAccount}
	for _, name := range p.d.Accounts {
		if !slices.Contains(accounts, name) {
			accounts = append(accounts, name)
		}
	}
	for _, account := range accounts {
		make := p.target.NewAccount
		if p.d.Administers && account == mainAccount {
			if make = p.target.NewAdministrator; make == nil {
				return &Unfit{p.target.Server, "it has no administrators of quotas"}
			}
		}
		name, password := make()
		suffix := "." + account
		if account == mainAccount {
			suffix = ""
		}
		p.vars["user"+suffix], p.vars["password"+suffix] = name, password
		p.vars["urluser"+suffix] = strings.ReplaceAll(name, "@", "%40") // names of accounts hold nothing else to escape
		p.vars["plain"+suffix] = base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00" + password))
	}
	if err := p.furnish(ctx); err != nil {
		return err
	}
	if p.d.Quota != nil {
		if p.target.SetQuota == nil {
			return &Unfit{p.target.Server, "its quota cannot be set"}
		}
		if err := p.target.SetQuota(p.vars["user"], p.d.Quota); err != nil {
			return err
		}
	}
	for _, name := range p.firstClients() {
		if err := p.connect(ctx, name); err != nil {
			return fmt.Errorf("client C%s: %w", name, err)
		}
	}
	return nil
}

// firstClients are those connected before the first line: all that are not connected by a line of their own.
func (p *player) firstClients() []string {
	first := map[string]bool{}
	for _, step := range p.d.Steps {
		if _, seen := first[step.Client]; !seen {
			first[step.Client] = step.Do != Connect
		}
	}
	maps.DeleteFunc(first, func(_ string, before bool) bool { return !before })
	return slices.Sorted(maps.Keys(first))
}

// furnish checks what the dialogue needs, and creates the mailboxes and messages of the preamble, over a connection
// of its own that is closed before the first client connects.
func (p *player) furnish(ctx context.Context) error {
	if len(p.d.Needs)+len(p.d.Mailboxes)+len(p.d.Messages) == 0 {
		return nil
	}
	c, err := dial(ctx, " (player)", TLS, p.target, &transcript{})
	if c != nil {
		defer c.conn.Close()
	}
	if err != nil {
		return err
	}
	if _, err := c.line(); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := c.command(fmt.Sprintf("LOGIN %s %s", p.vars["user"], p.vars["password"])); err != nil {
		return err
	}
	if err := p.checkNeeds(c); err != nil {
		return err
	}
	for _, name := range p.d.Mailboxes {
		if err := c.command("CREATE " + name); err != nil {
			return err
		}
	}
	var filled []string
	for _, message := range p.d.Messages {
		command := "APPEND " + message.Mailbox
		if message.Flags != "" {
			command += " " + message.Flags
		}
		if message.Date != "" {
			command += ` "` + message.Date + `"`
		}
		if err := c.commandLiteral(command, message.Body); err != nil {
			return err
		}
		if !slices.Contains(filled, message.Mailbox) {
			filled = append(filled, message.Mailbox)
		}
	}
	if !p.d.Recent {
		for _, name := range filled {
			if err := c.command("SELECT " + name); err != nil {
				return err
			}
		}
	}
	return c.command("LOGOUT")
}

// checkNeeds asks for the capabilities after login.
func (p *player) checkNeeds(c *client) error {
	if len(p.d.Needs) == 0 {
		return nil
	}
	if err := c.send([]byte("needs CAPABILITY\r\n")); err != nil {
		return err
	}
	var have []string
	for {
		line, err := c.line()
		if err != nil {
			return fmt.Errorf("CAPABILITY: %w", err)
		}
		if list, ok := strings.CutPrefix(line, "* CAPABILITY "); ok {
			have = strings.Fields(list)
		}
		if strings.HasPrefix(line, "needs ") {
			break
		}
	}
	for _, need := range p.d.Needs {
		// APPENDLIMIT is there as "APPENDLIMIT=67108864".
		if !slices.ContainsFunc(have, func(c string) bool { return c == need || strings.HasPrefix(c, need+"=") }) {
			return &Unfit{p.target.Server, "it does not have " + need}
		}
	}
	return nil
}

// connect connects a client and brings it to where the preamble says it starts.
func (p *player) connect(ctx context.Context, name string) error {
	c, err := dial(ctx, name, p.d.Transport, p.target, p.said)
	if c != nil {
		p.clients[name] = c
	}
	if err != nil {
		return err
	}
	start, ok := p.d.Start[name]
	if !ok {
		start = p.d.Start[""]
	}
	if start == "greeting" {
		return nil
	}
	if p.d.Transport != STARTTLS { // after STARTTLS there is no second greeting
		if _, err := c.line(); err != nil {
			return fmt.Errorf("greeting: %w", err)
		}
	}
	suffix := ""
	if account, ok := p.d.Accounts[name]; ok && account != mainAccount {
		suffix = "." + account
	}
	if err := c.command(fmt.Sprintf("LOGIN %s %s", p.vars["user"+suffix], p.vars["password"+suffix])); err != nil {
		return err
	}
	if verb, mailbox, ok := strings.Cut(start, " "); ok {
		return c.command(strings.ToUpper(verb) + " " + mailbox)
	}
	return nil
}
