package flagapi

import (
	"net/http"
	"slices"
	"time"
)

// Fault spoils one request.
type Fault struct {
	Read    bool          // only a request that reads
	Write   bool          // only a request that writes
	Status  int           // the answer; zero cuts the connection
	Retry   time.Duration // sent along as Retry-After
	Applied bool          // the request is carried out first: only its answer is lost
	Hang    bool          // no answer until the client gives up
}

// Inject queues faults; each spoils one request.
func (s *Server) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) takeFault(method string) *Fault {
	i := slices.IndexFunc(s.faults, func(f Fault) bool {
		reads := method == http.MethodGet
		return reads && !f.Write || !reads && !f.Read
	})
	if i < 0 {
		return nil
	}
	f := s.faults[i]
	s.faults = slices.Delete(s.faults, i, i+1)
	return &f
}

func (f *Fault) stops() bool { return f != nil && !f.Applied }

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if f.Hang {
		<-r.Context().Done()
	}
	if f.Hang || f.Status == 0 {
		panic(http.ErrAbortHandler) // how a handler cuts the connection
	}
	a := refuse(f.Status, "Injected fault")
	a.retry = f.Retry
	a.write(w)
}
