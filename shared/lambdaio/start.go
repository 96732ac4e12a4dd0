package lambdaio

import "log"

// Must ends the process when a part of a Lambda cannot be built: Lambda then answers for it, tries
// again with the next event, and the log says why.
func Must[T any](part T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return part
}
