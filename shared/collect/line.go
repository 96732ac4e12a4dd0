package collect

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"verdict/shared/plan"
)

// timeLayout is how times stand in raw: UTC with milliseconds, so that text order is time order.
const timeLayout = "2006-01-02T15:04:05.000Z"

// reception is what the collector knows about a whole batch.
type reception struct {
	namespace string
	at        time.Time
	skew      time.Duration // how far the client's clock is ahead of ours
	ip        string        // truncated
	agent     string
	bot       bool
	gpc       bool // Sec-GPC: 1, binding in several jurisdictions and not settable by a page
}

func (h *Handler) receive(r *http.Request, batch *fastjson.Value, namespace string) reception {
	from := reception{
		namespace: namespace, at: h.Now().UTC(), agent: r.UserAgent(), ip: truncateIP(clientAddress(r)),
		gpc: r.Header.Get("Sec-GPC") == "1",
	}
	from.bot = isBot(from.agent)
	if sent, err := plan.ParseTime(batch.GetStringBytes("sent_at")); err == nil {
		from.skew = sent.Sub(from.at)
	}
	return from
}

// eventTime corrects the client's clock and never lets an event come from the future.
func (from reception) eventTime(client time.Time) time.Time {
	corrected := client.Add(-from.skew).UTC()
	if corrected.After(from.at) {
		return from.at
	}
	return corrected
}

// appendEvent appends the landed line of a valid event.
func (from reception) appendEvent(line []byte, event *fastjson.Value) []byte {
	client, err := plan.ParseTime(event.GetStringBytes("ts"))
	if err != nil {
		client = from.at // the plan has checked it: cannot happen
	}
	at := from.eventTime(client)
	refused := string(event.GetStringBytes("consent", "analytics_storage")) == "denied"

	line = append(line, `{"namespace":`...)
	line = appendString(line, from.namespace)
	line = append(line, `,"event_date":"`...)
	line = at.AppendFormat(line, time.DateOnly)
	line = append(line, `","event_ts":"`...)
	line = at.AppendFormat(line, timeLayout)
	line = append(line, `","client_ts":"`...)
	line = client.UTC().AppendFormat(line, timeLayout)
	line = append(line, `","received_ts":"`...)
	line = from.at.AppendFormat(line, timeLayout)
	line = append(line, `","is_bot":`...)
	line = strconv.AppendBool(line, from.bot)
	line = appendField(line, "event_id", event.Get("event_id"))
	line = appendField(line, "event_name", event.Get("event"))
	line = appendField(line, "schema_version", event.Get("schema"))
	line = appendField(line, "seq", event.Get("seq"))
	line = from.appendConsent(line, event.Get("consent"))
	// Who refuses analytics storage is counted, but not recognised: no id, address or device.
	if !refused {
		line = appendField(line, "anonymous_id", event.Get("anonymous_id"))
		line = appendField(line, "user_id", event.Get("user_id"))
		line = appendField(line, "session_id", event.Get("session_id"))
		line = append(line, `,"ip":`...)
		line = appendString(line, from.ip)
		line = append(line, `,"user_agent":`...)
		line = appendString(line, from.agent)
		line = appendField(line, "context", event.Get("context"))
		line = appendField(line, "experiments", event.Get("experiments"))
	}
	line = appendField(line, "properties", event.Get("properties"))
	return append(line, "}\n"...)
}

func (from reception) appendConsent(line []byte, consent *fastjson.Value) []byte {
	if consent == nil && !from.gpc {
		return line
	}
	line = append(line, `,"consent":{`...)
	first := true
	for _, signal := range []string{"analytics_storage", "ad_storage", "ad_user_data", "ad_personalization"} {
		state := string(consent.GetStringBytes(signal))
		if from.gpc && signal != "analytics_storage" {
			state = "denied" // Global Privacy Control objects to sale and sharing, not to measurement
		}
		if state == "" {
			continue
		}
		if !first {
			line = append(line, ',')
		}
		first = false
		line = append(line, '"')
		line = append(line, signal...)
		line = append(line, `":"`...)
		line = append(line, state...)
		line = append(line, '"')
	}
	return append(line, '}')
}

// appendQuarantined keeps an invalid event as it came, with what is wrong with it. The day is that
// of arrival: the event's own time may be what is broken.
func (from reception) appendQuarantined(line []byte, event *fastjson.Value, failures []plan.Failure) []byte {
	line = append(line, `{"namespace":`...)
	line = appendString(line, from.namespace)
	line = append(line, `,"event_date":"`...)
	line = from.at.AppendFormat(line, time.DateOnly)
	line = append(line, `","received_ts":"`...)
	line = from.at.AppendFormat(line, timeLayout)
	line = append(line, `","skew_ms":`...)
	line = strconv.AppendInt(line, from.skew.Milliseconds(), 10)
	line = append(line, `,"is_bot":`...)
	line = strconv.AppendBool(line, from.bot)
	line = append(line, `,"failures":`...)
	text, err := json.Marshal(failures)
	if err != nil {
		text = []byte("[]") // plain strings: cannot happen
	}
	line = append(line, text...)
	line = append(line, `,"event":`...)
	line = event.MarshalTo(line)
	return append(line, "}\n"...)
}

func appendField(line []byte, name string, value *fastjson.Value) []byte {
	if value == nil {
		return line
	}
	line = append(line, ',', '"')
	line = append(line, name...)
	line = append(line, '"', ':')
	return value.MarshalTo(line)
}

func appendString(line []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x7f {
			text, err := json.Marshal(s)
			if err != nil {
				text = []byte(`""`) // a string always marshals
			}
			return append(line, text...)
		}
	}
	line = append(line, '"')
	line = append(line, s...)
	return append(line, '"')
}

// truncateIP keeps the network: /24 of IPv4 and /48 of IPv6, as Google Analytics' masking does.
func truncateIP(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 48
	if ip = ip.Unmap(); ip.Is4() {
		bits = 24
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return network.Addr().String()
}

// isBot knows crawlers that say what they are, and headless browsers.
func isBot(agent string) bool {
	lower := strings.ToLower(agent)
	for _, mark := range [...]string{"bot", "crawl", "spider", "headless", "slurp", "lighthouse", "monitor"} {
		if strings.Contains(lower, mark) {
			return true
		}
	}
	return false
}

var _ http.Handler = (*Handler)(nil)
