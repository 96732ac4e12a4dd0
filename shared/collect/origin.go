package collect

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"verdict/shared/fault"
)

// Origins are the sites that may send from a browser: "https://shop.example", or "https://*.example" for every
// site below it. None means every site: the write key says whose events they are, and no cookie is involved.
type Origins []string

// Check refuses what no browser would send as an Origin.
func (o Origins) Check() error {
	for _, origin := range o {
		scheme, host, ok := strings.Cut(origin, "://")
		if !ok || host == "" || strings.ContainsAny(host, "/ ") || (scheme != "https" && scheme != "http") || strings.Contains(strings.TrimPrefix(host, "*."), "*") {
			return fault.New(fault.Invalid, "read origins: %q must look like https://shop.example or https://*.example", origin)
		}
	}
	return nil
}

func (o Origins) allow(origin string) bool {
	for _, one := range o {
		scheme, below, wild := strings.Cut(one, "*.")
		if one == origin || wild && strings.HasPrefix(origin, scheme) && strings.HasSuffix(origin, "."+below) {
			return true
		}
	}
	return false
}

// crossOrigin answers the browser's question whether a page of another site may send, and tells whether it may.
func (h *Handler) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	header := w.Header()
	if len(h.Origins) == 0 {
		header.Set("Access-Control-Allow-Origin", "*")
	} else {
		header.Set("Vary", "Origin")
		if !h.Origins.allow(origin) {
			return false
		}
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true") // the cookie
	}
	header.Set("Access-Control-Allow-Headers", "content-type, x-write-key")
	header.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	header.Set("Access-Control-Expose-Headers", "retry-after")
	header.Set("Access-Control-Max-Age", "7200")
	return true
}

const (
	cookieName = "verdict_nid"
	// Chrome keeps no cookie for longer than 400 days (RFC 6265bis, section 5.5).
	cookieAge = 400 * 24 * time.Hour
)

// Cookie is the network user id: an id in a cookie that only the collector reads and writes, so that Safari's
// seven days for what scripts store do not apply to it. It needs the collector on the customer's own site.
type Cookie struct {
	Domain string        // the site, as shop.example; empty: no cookie
	New    func() string // makes an id
}

// networkID returns the id of the browser, which it is given when it has none. Nobody who refuses analytics
// storage in any event of the batch is given one, and then an id that is there is not read.
func (c Cookie) networkID(w http.ResponseWriter, r *http.Request, refused bool) string {
	if c.Domain == "" || refused {
		return ""
	}
	id := ""
	if sent, err := r.Cookie(cookieName); err == nil {
		if known, err := uuid.Parse(sent.Value); err == nil {
			id = known.String()
		}
	}
	if id == "" {
		id = c.New()
	}
	// Sent anew each time: the 400 days count from the last visit.
	w.Header().Add("Set-Cookie", cookieName+"="+id+"; Domain="+c.Domain+"; Path=/v1/; Max-Age="+
		strconv.Itoa(int(cookieAge.Seconds()))+"; Secure; HttpOnly; SameSite=Lax")
	return id
}
