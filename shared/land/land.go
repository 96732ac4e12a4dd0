// Package land says what stands in raw and in quarantine: one JSON line for each event, whether a client sent it
// just now or a file of last year is replayed.
package land

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"github.com/valyala/fastjson"

	"verdict/shared/plan"
)

// TimeLayout is how times stand in raw: UTC with milliseconds, so that text order is time order.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Reception is how events arrived: what is known about a whole batch.
type Reception struct {
	Namespace string
	At        time.Time     // when, UTC
	Skew      time.Duration // how far the client's clock is ahead of ours
	IP        string        // truncated
	NetworkID string        // of the browser, from the collector's own cookie
	Agent     string
	Source    string // where a replayed event comes from; empty: the collector, which has counted it
	Bot       bool
	GPC       bool // Sec-GPC: 1, binding in several jurisdictions and not settable by a page
}

// Refused tells whether the person behind an event refuses to be recognised.
func Refused(event *fastjson.Value) bool {
	return string(event.GetStringBytes("consent", "analytics_storage")) == "denied"
}

// EventTime corrects the client's clock and never lets an event come from the future.
func (from Reception) EventTime(client time.Time) time.Time {
	corrected := client.Add(-from.Skew).UTC()
	if corrected.After(from.At) {
		return from.At
	}
	return corrected
}

// AppendEvent appends the landed line of a valid event.
func (from Reception) AppendEvent(line []byte, event *fastjson.Value) []byte {
	client, err := plan.ParseTime(event.GetStringBytes("ts"))
	if err != nil {
		client = from.At // the plan has checked it: cannot happen
	}
	at := from.EventTime(client)
	refused := Refused(event)

	line = append(line, `{"namespace":`...)
	line = appendString(line, from.Namespace)
	line = append(line, `,"event_date":"`...)
	line = at.AppendFormat(line, time.DateOnly)
	line = append(line, `","event_ts":"`...)
	line = at.AppendFormat(line, TimeLayout)
	line = append(line, `","client_ts":"`...)
	line = client.UTC().AppendFormat(line, TimeLayout)
	line = append(line, `","received_ts":"`...)
	line = from.At.AppendFormat(line, TimeLayout)
	line = append(line, `","is_bot":`...)
	line = strconv.AppendBool(line, from.Bot)
	if from.Source != "" {
		line = append(line, `,"source":`...)
		line = appendString(line, from.Source)
	}
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
		if from.NetworkID != "" {
			line = append(line, `,"network_id":`...)
			line = appendString(line, from.NetworkID)
		}
		line = append(line, `,"ip":`...)
		line = appendString(line, from.IP)
		line = append(line, `,"user_agent":`...)
		line = appendString(line, from.Agent)
		line = appendField(line, "context", event.Get("context"))
		line = appendField(line, "experiments", event.Get("experiments"))
	}
	line = appendField(line, "properties", event.Get("properties"))
	return append(line, "}\n"...)
}

func (from Reception) appendConsent(line []byte, consent *fastjson.Value) []byte {
	if consent == nil && !from.GPC {
		return line
	}
	line = append(line, `,"consent":{`...)
	first := true
	for _, signal := range []string{"analytics_storage", "ad_storage", "ad_user_data", "ad_personalization"} {
		state := string(consent.GetStringBytes(signal))
		if from.GPC && signal != "analytics_storage" {
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

// AppendQuarantined keeps an invalid event as it came, with what is wrong with it. The day is that
// of arrival: the event's own time may be what is broken.
func (from Reception) AppendQuarantined(line []byte, event *fastjson.Value, failures []plan.Failure) []byte {
	line = append(line, `{"namespace":`...)
	line = appendString(line, from.Namespace)
	line = append(line, `,"event_date":"`...)
	line = from.At.AppendFormat(line, time.DateOnly)
	line = append(line, `","received_ts":"`...)
	line = from.At.AppendFormat(line, TimeLayout)
	line = append(line, `","skew_ms":`...)
	line = strconv.AppendInt(line, from.Skew.Milliseconds(), 10)
	line = append(line, `,"is_bot":`...)
	line = strconv.AppendBool(line, from.Bot)
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

// TruncateIP keeps the network: /24 of IPv4 and /48 of IPv6, as Google Analytics' masking does.
func TruncateIP(address string) string {
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
