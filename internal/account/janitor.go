package account

type janitor struct{}
