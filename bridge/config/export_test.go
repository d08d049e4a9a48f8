package config

// Regions is the list that is checked.
func Regions() []string { return regions() }
