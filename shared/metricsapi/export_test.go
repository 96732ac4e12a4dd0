package metricsapi

// Paths lists the routes, as the contract spells them.
func Paths() []string {
	var out []string
	for _, r := range routes() {
		out = append(out, r.path)
	}
	return out
}

// Parameters lists what a route reads of a query.
func Parameters(path string) []string {
	for _, r := range routes() {
		if r.path == path {
			return r.parameters
		}
	}
	return nil
}
