package collect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"verdict/shared/collect"
)

func TestOrigins(t *testing.T) {
	h, good, _ := newHandler(t)
	h.Origins = collect.Origins{"https://shop.example", "https://*.shop.example"}
	for origin, want := range map[string]int{
		"":                               http.StatusOK, // a server, or a page of the collector's own site
		"https://shop.example":           http.StatusOK,
		"https://www.shop.example":       http.StatusOK,
		"https://a.b.shop.example":       http.StatusOK,
		"http://www.shop.example":        http.StatusForbidden,
		"https://shop.example.evil.test": http.StatusForbidden,
		"https://evilshop.example":       http.StatusForbidden,
		"null":                           http.StatusForbidden,
	} {
		w := post(h, `{"events":[`+event(1, "")+`]}`, "Origin", origin)
		allowed := w.Header().Get("Access-Control-Allow-Origin")
		if w.Code != want || (want == http.StatusOK) != (allowed == origin) {
			t.Errorf("from %q: answer %d, allowed origin %q", origin, w.Code, allowed)
		}
		if (origin != "") != (w.Header().Get("Vary") == "Origin") {
			t.Errorf("from %q: Vary is %q: a cache would answer one site with what is meant for another", origin, w.Header().Get("Vary"))
		}
	}
	if len(good.lines) != 4 {
		t.Errorf("stored %d events, want 4", len(good.lines))
	}
	for _, broken := range []string{"shop.example", "https://shop.example/", "ftp://shop.example", "https://a.*.example", "*"} {
		if (collect.Origins{broken}).Check() == nil {
			t.Errorf("%q is taken for an origin", broken)
		}
	}
}

func TestNetworkID(t *testing.T) {
	const made, known = "0192f0c1-0000-7000-8000-0000000000aa", "0192f0c1-0000-7000-8000-0000000000bb"
	cases := map[string]struct {
		cookie, consent string
		want            string // in the line and in the cookie
	}{
		"first visit":            {"", "", made},
		"came back":              {known, "", known},
		"somebody else's cookie": {"nonsense", "", made},
		"granted":                {known, `,"consent":{"analytics_storage":"granted"}`, known},
		"refused":                {known, `,"consent":{"analytics_storage":"denied"}`, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, good, _ := newHandler(t)
			h.Cookie = collect.Cookie{Domain: "shop.example", New: func() string { return made }}
			w := post(h, `{"events":[`+event(1, c.consent)+`]}`, "Cookie", "verdict_nid="+c.cookie)
			got, _ := good.lines[0]["network_id"].(string)
			if got != c.want {
				t.Errorf("the line has network_id %q, want %q", got, c.want)
			}
			cookies := w.Result().Cookies()
			if c.want == "" {
				if len(cookies) > 0 {
					t.Errorf("who refuses got the cookie %v", cookies)
				}
				return
			}
			if len(cookies) != 1 {
				t.Fatalf("got the cookies %v", cookies)
			}
			k := cookies[0]
			if k.Value != c.want || k.Domain != "shop.example" || !k.Secure || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.MaxAge != 400*24*60*60 {
				t.Errorf("cookie %s", k)
			}
		})
	}
}

func TestBots(t *testing.T) {
	pages := func(n, apart int) string {
		var events []string
		for i := range n {
			at := receivedAt.Add(time.Duration(i*apart)*time.Millisecond - time.Minute).Format(time.RFC3339Nano)
			events = append(events, fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%012d","event":"page_viewed","schema":"1-0-0","ts":%q,
				"anonymous_id":"a1","session_id":"s1","properties":{"page_type":"home"}}`, i, at))
		}
		return strings.Join(events, ",")
	}
	const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	cases := map[string]struct {
		agent, events string
		want          bool
	}{
		"browser":                {chrome, event(1, ""), false},
		"telephone called Cubot": {"Mozilla/5.0 (Linux; Android 8.0; CUBOT_P20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0 Mobile Safari/537.36", event(1, ""), false},
		"search engine":          {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", event(1, ""), true},
		"headless browser":       {strings.Replace(chrome, "Chrome", "HeadlessChrome", 1), event(1, ""), true},
		"monitor":                {"Mozilla/5.0 (compatible; UptimeRobot/2.0)", event(1, ""), true},
		"model's crawler":        {"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.0; +https://openai.com/gptbot)", event(1, ""), true},
		"somebody's library":     {"python-requests/2.32", event(1, ""), true},
		"nobody":                 {"", event(1, ""), true},
		"quick reader":           {chrome, pages(30, 500), false},
		"few pages at once":      {chrome, pages(10, 1), false}, // a queue that was stored while offline
		"script in a browser":    {chrome, pages(30, 20), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, good, _ := newHandler(t)
			for range 2 { // the second answer comes from memory
				if w := post(h, `{"events":[`+c.events+`]}`, "User-Agent", c.agent, "Origin", "https://shop.example"); w.Code != http.StatusOK {
					t.Fatalf("answer %d %s", w.Code, w.Body)
				}
			}
			for _, line := range good.lines {
				if line["is_bot"] != c.want {
					t.Fatalf("is_bot is %v, want %v", line["is_bot"], c.want)
				}
			}
		})
	}
}

// A server's HTTP library is on the list of crawlers, but its events are its visitors'.
func TestServersAreNoBots(t *testing.T) {
	for _, agent := range []string{"", "Go-http-client/1.1", "python-requests/2.32", "curl/8.5.0"} {
		h, good, _ := newHandler(t)
		post(h, `{"events":[`+event(1, "")+`]}`, "User-Agent", agent)
		if good.lines[0]["is_bot"] != false {
			t.Errorf("%q is taken for a bot", agent)
		}
		post(h, `{"sdk":{"name":"verdict-web"},"events":[`+event(2, "")+`]}`, "User-Agent", agent)
		if good.lines[1]["is_bot"] != true {
			t.Errorf("the browser SDK in %q is not taken for a bot", agent)
		}
	}
}
