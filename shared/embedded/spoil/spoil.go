// Package spoil makes a stand-in's requests go wrong on demand: each queued fault spoils one.
package spoil

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Fault spoils one request.
type Fault struct {
	Read    bool          // only a request that reads
	Write   bool          // only a request that writes
	Status  int           // the answer; zero cuts the connection
	Retry   time.Duration // how long the answer says to wait
	Applied bool          // the request is carried out first: only its answer is lost
	Hang    bool          // no answer until the client gives up
}

// Faults is a queue of them.
type Faults struct {
	mu    sync.Mutex
	queue []Fault
}

// Inject queues faults.
func (q *Faults) Inject(faults ...Fault) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, faults...)
}

// Take removes the first fault that spoils a request with this method; nil if none does.
func (q *Faults) Take(method string) *Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.queue, func(f Fault) bool {
		reads := method == http.MethodGet
		return reads && !f.Write || !reads && !f.Read
	})
	if i < 0 {
		return nil
	}
	f := q.queue[i]
	q.queue = slices.Delete(q.queue, i, i+1)
	return &f
}

// Stops tells whether a request is not even carried out.
func (f *Fault) Stops() bool { return f != nil && !f.Applied }

// Answer answers a spoiled request; refuse writes a refusal as the platform words them.
func (f *Fault) Answer(r *http.Request, refuse func(status int, retry time.Duration)) {
	if f.Hang {
		<-r.Context().Done()
	}
	if f.Hang || f.Status == 0 {
		panic(http.ErrAbortHandler) // how a handler cuts the connection
	}
	refuse(f.Status, f.Retry)
}
