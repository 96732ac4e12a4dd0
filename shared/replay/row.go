package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/land"
)

// row is what every kind of file comes down to.
type row struct {
	name      string // of the event in the export
	at        time.Time
	anonymous string
	user      string
	session   string
	denied    bool   // analytics storage
	key       string // tells the row from others; the same however often, and in whichever format, it is exported
	fields    *fastjson.Value
	ip, agent string
}

// Kind is a kind of file.
type Kind string

// The kinds of files, and our own quarantine.
const (
	GA4        Kind = "ga4"        // Google Analytics 4's export to BigQuery, extracted as NDJSON or Parquet
	ServerGTM  Kind = "sgtm"       // rows that a server-side Tag Manager writes, in the schema of Google's template
	DataLayer  Kind = "datalayer"  // pushes to a page's dataLayer, one a line
	Quarantine Kind = "quarantine" // events that broke their contract, after the plan was mended
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{GA4, ServerGTM, DataLayer, Quarantine} }

// recognize says what kind of file a row comes from: by what only this kind has.
func recognize(v *fastjson.Value) (Kind, error) {
	switch {
	case v.Type() != fastjson.TypeObject:
		return "", fault.New(fault.Invalid, "want one JSON object a line, not %s", v.Type())
	case v.Exists("event_timestamp") && (v.Exists("user_pseudo_id") || v.Exists("event_date") || v.Exists("stream_id")):
		return GA4, nil
	case v.Exists("event_name") && (v.Exists("measurement_id") || v.Exists("client_id")):
		return ServerGTM, nil
	case v.Exists("push"):
		return DataLayer, nil
	case v.Exists("failures") && v.Exists("event"):
		return Quarantine, nil
	case v.Exists("exportFormatVersion"):
		return "", fault.New(fault.Invalid, "this is the configuration of a Tag Manager container, not events: import it in Tag Manager")
	}
	return "", fault.New(fault.Invalid, "this is no export that can be replayed: want rows of GA4's BigQuery export, of Google's server-side template, or dataLayer pushes (docs/replay.md)")
}

// read takes a row apart. An error means that it does not have the shape of its kind.
func (k Kind) read(a *fastjson.Arena, v *fastjson.Value) (row, error) {
	if v.Type() != fastjson.TypeObject {
		return row{}, fmt.Errorf("want an object, not %s", v.Type())
	}
	switch k {
	case GA4:
		return readGA4(a, v)
	case ServerGTM:
		return readServerGTM(a, v)
	default:
		return readDataLayer(v)
	}
}

func readGA4(a *fastjson.Arena, v *fastjson.Value) (row, error) {
	at, err := moment(v, "event_timestamp", time.Microsecond)
	if err != nil {
		return row{}, err
	}
	fields, err := parameters(a, v)
	if err != nil {
		return row{}, err
	}
	fields.Set("items", entries(a, v.Get("items")))
	for _, name := range []string{"transaction_id", "purchase_revenue", "refund_value"} {
		if one := v.Get("ecommerce", name); one != nil && one.Type() != fastjson.TypeNull && !fields.Exists(name) {
			fields.Set(name, one)
		}
	}
	for from, name := range map[string]string{"manual_source": "source", "manual_medium": "medium", "manual_campaign_name": "campaign", "manual_term": "term", "manual_content": "content"} {
		if one := v.Get("collected_traffic_source", from); one != nil && one.Type() == fastjson.TypeString && !fields.Exists(name) {
			fields.Set(name, one)
		}
	}
	fields.Set("device_category", v.Get("device", "category"))
	r := row{
		name: text(v.Get("event_name")), at: at, anonymous: text(v.Get("user_pseudo_id")), user: text(v.Get("user_id")), fields: fields,
		denied: text(v.Get("privacy_info", "analytics_storage")) == "No",
	}
	if id := text(fields.Get("ga_session_id")); id != "" && r.anonymous != "" {
		r.session = r.anonymous + "." + id
	}
	r.key = canonical(v.Get("event_timestamp")) + "|"
	// Reprocessing changes what Google attributes to an event, never these.
	for _, name := range []string{"event_bundle_sequence_id", "batch_page_id", "batch_ordering_id", "batch_event_index", "stream_id"} {
		r.key += canonical(v.Get(name)) + "|"
	}
	r.key += digest(a, v)
	return r, check(r)
}

func readServerGTM(a *fastjson.Arena, v *fastjson.Value) (row, error) {
	at, err := moment(v, "event_timestamp", time.Second)
	if err != nil {
		return row{}, err
	}
	fields, err := parameters(a, v)
	if err != nil {
		return row{}, err
	}
	v.GetObject().Visit(func(key []byte, one *fastjson.Value) {
		if name := string(key); name != "event_params" && name != "user_properties" && one.Type() != fastjson.TypeNull {
			fields.Set(name, one)
		}
	})
	r := row{
		name: text(v.Get("event_name")), at: at, anonymous: text(v.Get("client_id")), user: text(v.Get("user_id")), fields: fields,
		ip: land.TruncateIP(text(v.Get("ip_address"))), agent: text(v.Get("user_agent")),
	}
	if id := text(v.Get("ga_session_id")); id != "" && r.anonymous != "" {
		r.session = r.anonymous + "." + id
	}
	if gcs := text(v.Get("gcs")); len(gcs) == 4 { // G1, then ad and analytics storage as 0 or 1
		r.denied = gcs[3] == '0'
	}
	r.key = canonical(v.Get("event_timestamp")) + "|" + canonical(v.Get("request_count")) + "|" + canonical(v.Get("page_location")) + "|" + digest(a, v)
	return r, check(r)
}

func readDataLayer(v *fastjson.Value) (row, error) {
	at, err := moment(v, "timestamp", time.Millisecond)
	if err != nil {
		return row{}, err
	}
	push := v.Get("push")
	if push == nil || push.Type() != fastjson.TypeObject {
		return row{}, errors.New("push must be an object: what was pushed")
	}
	r := row{
		name: text(push.Get("event")), at: at, anonymous: text(v.Get("anonymous_id")), user: text(v.Get("user_id")), session: text(v.Get("session_id")),
		denied: text(v.Get("analytics_storage")) == "denied", key: canonical(v.Get("timestamp")) + "|" + canonical(push), fields: push,
	}
	if r.name == "" {
		r.name = "(without event)" // data for later pushes, and for Tag Manager
	}
	if shop := push.GetObject("ecommerce"); shop != nil {
		shop.Visit(func(key []byte, one *fastjson.Value) {
			if name := string(key); !push.Exists(name) {
				push.Set(name, one)
			}
		})
	}
	return r, check(r)
}

func check(r row) error {
	if r.name == "" {
		return errors.New("event_name is missing")
	}
	return nil
}

// parameters is the row's event_params as an object.
func parameters(a *fastjson.Arena, v *fastjson.Value) (*fastjson.Value, error) {
	out := a.NewObject()
	list := entries(a, v.Get("event_params"))
	if list.Type() != fastjson.TypeArray {
		return nil, fmt.Errorf("event_params must be an array of {key, value}, not %s", list.Type())
	}
	for _, p := range list.GetArray() {
		key := text(p.Get("key"))
		if key == "" {
			return nil, errors.New("event_params must be an array of {key, value}: an entry has no key")
		}
		for _, kind := range []string{"string_value", "int_value", "float_value", "double_value"} {
			one := p.Get("value", kind)
			if one == nil || one.Type() == fastjson.TypeNull {
				continue
			}
			if kind != "string_value" && one.Type() == fastjson.TypeString { // 64-bit integers are written as text
				one = a.NewNumberString(text(one))
			}
			out.Set(key, one)
			break
		}
	}
	return out, nil
}

// entries is a list as an array: BigQuery's Parquet files wrap each list in {"list": [{"element": …}]}.
func entries(a *fastjson.Arena, v *fastjson.Value) *fastjson.Value {
	if v == nil || v.Type() == fastjson.TypeNull {
		return a.NewArray()
	}
	wrapped := v.GetArray("list")
	if v.Type() != fastjson.TypeObject || wrapped == nil {
		return v
	}
	out := a.NewArray()
	for i, one := range wrapped {
		if inner := one.Get("element"); inner != nil {
			one = inner
		}
		out.SetArrayItem(i, one)
	}
	return out
}

// The years that an event can be from: web analytics began in the nineties.
const (
	firstYear = 1995
	lastYear  = 2100
)

// moment reads a time as a count of units since 1970. Another unit gives a year that cannot be, and is the sign of
// another kind of file: it must not pass silently as a date of 1970.
func moment(v *fastjson.Value, name string, unit time.Duration) (time.Time, error) {
	of := v.Get(name)
	n, err := strconv.ParseFloat(canonical(of), 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s must be a number of %ss since 1970", name, unitName(unit))
	}
	var at time.Time
	if seconds := n * unit.Seconds(); math.Abs(seconds) < 1e11 {
		at = time.UnixMilli(int64(math.Round(seconds * 1e3))).UTC()
	}
	if at.Year() < firstYear || at.Year() > lastYear {
		return time.Time{}, fmt.Errorf("%s %s is no number of %ss since 1970: GA4 writes microseconds, server-side Tag Manager seconds, a dataLayer dump milliseconds", name, canonical(of), unitName(unit))
	}
	return at, nil
}

func unitName(unit time.Duration) string {
	return map[time.Duration]string{time.Second: "second", time.Millisecond: "millisecond", time.Microsecond: "microsecond"}[unit]
}

func text(v *fastjson.Value) string {
	if v == nil || v.Type() == fastjson.TypeNull {
		return ""
	}
	if v.Type() == fastjson.TypeString {
		return string(v.GetStringBytes())
	}
	return canonical(v)
}

// canonical writes a value so that the same content reads the same in NDJSON and Parquet, where numbers may be text,
// members stand in another order, and what is missing may be null.
func canonical(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return ""
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber:
		raw := v.MarshalTo(nil)
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
		return strconv.FormatFloat(v.GetFloat64(), 'f', -1, 64)
	case fastjson.TypeArray:
		var parts []string
		for _, one := range v.GetArray() {
			parts = append(parts, canonical(one))
		}
		return "[" + strings.Join(parts, "\x1e") + "]"
	case fastjson.TypeObject:
		var parts []string
		v.GetObject().Visit(func(key []byte, one *fastjson.Value) {
			if value := canonical(one); value != "" {
				parts = append(parts, string(key)+"\x1f"+value)
			}
		})
		slices.Sort(parts)
		return "{" + strings.Join(parts, "\x1e") + "}"
	default:
		return v.String()
	}
}

// digest is a hash of what a row says beside its name, time and ids.
func digest(a *fastjson.Arena, v *fastjson.Value) string {
	var params []string
	for _, p := range entries(a, v.Get("event_params")).GetArray() {
		params = append(params, canonical(p))
	}
	slices.Sort(params)
	sum := sha256.Sum256([]byte(strings.Join(params, "\x1d") + "\x1c" + canonical(entries(a, v.Get("items")))))
	return hex.EncodeToString(sum[:16])
}

// event makes an event of the plan, as a client would send it.
func (r row) event(a *fastjson.Arena, rule *rule, properties *fastjson.Value, kind Kind, namespace string, nth int) *fastjson.Value {
	e := a.NewObject()
	id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "verdict:replay:%s:%s:%s:%s:%s:%s:%d", kind, namespace, r.anonymous, r.user, r.name, r.key, nth))
	e.Set("event_id", a.NewString(id.String()))
	e.Set("event", a.NewString(rule.Event))
	e.Set("schema", a.NewString(rule.schema))
	e.Set("ts", a.NewString(r.at.Format(time.RFC3339Nano)))
	if r.denied {
		consent := a.NewObject()
		consent.Set("analytics_storage", a.NewString("denied"))
		e.Set("consent", consent)
	}
	setText(a, e, "anonymous_id", r.anonymous)
	setText(a, e, "user_id", r.user)
	setText(a, e, "session_id", r.session)
	if context := r.context(a); context != nil {
		e.Set("context", context)
	}
	e.Set("properties", properties)
	return e
}

func setText(a *fastjson.Arena, to *fastjson.Value, name, value string) {
	if value != "" {
		to.Set(name, a.NewString(value))
	}
}

// sizes are how a screen is written.
var sizes = regexp.MustCompile(`^[0-9]{1,5}x[0-9]{1,5}$`)

// context is what the row says about page, device and campaign, in the plan's envelope; nil when nothing.
func (r row) context(a *fastjson.Arena) *fastjson.Value {
	out := a.NewObject()
	part := func(name string, longest int, fields ...[2]string) {
		one := a.NewObject()
		for _, field := range fields {
			value := text(r.fields.Get(field[1]))
			setText(a, one, field[0], strings.ToValidUTF8(value[:min(len(value), longest)], ""))
		}
		if one.GetObject().Len() > 0 {
			out.Set(name, one)
		}
	}
	part("page", 1024, [2]string{"url", "page_location"}, [2]string{"title", "page_title"}, [2]string{"referrer", "page_referrer"})
	part("utm", 256, [2]string{"source", "source"}, [2]string{"medium", "medium"}, [2]string{"campaign", "campaign"}, [2]string{"term", "term"}, [2]string{"content", "content"})
	device := a.NewObject()
	switch kind := text(r.fields.Get("device_category")); kind {
	case "":
	case "mobile", "tablet", "desktop":
		setText(a, device, "type", kind)
	case "smart tv":
		setText(a, device, "type", "tv")
	default:
		setText(a, device, "type", "other")
	}
	if screen := text(r.fields.Get("screen_resolution")); sizes.MatchString(screen) {
		setText(a, device, "screen", screen)
	}
	if locale := text(r.fields.Get("language")); len(locale) <= 35 {
		setText(a, device, "locale", locale)
	}
	if device.GetObject().Len() > 0 {
		out.Set("device", device)
	}
	if out.GetObject().Len() == 0 {
		return nil
	}
	return out
}

// IDs are those of whom a row is about, whichever kind of file it is of; a row of no kind has none.
func IDs(v *fastjson.Value) (anonymous, user string) {
	kind, err := recognize(v)
	if err != nil {
		return "", ""
	}
	field := map[Kind]string{GA4: "user_pseudo_id", ServerGTM: "client_id", DataLayer: "anonymous_id", Quarantine: "anonymous_id"}[kind]
	if kind == Quarantine {
		v = v.Get("event")
	}
	return text(v.Get(field)), text(v.Get("user_id"))
}
