// Package replaytest makes exports as Google writes them, for tests.
package replaytest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// days that an export spans: the daily tables of a month.
const days = 31

// GA4 writes rows of a GA4 export as BigQuery extracts it to NDJSON: about 1.1 KB each, most of it what nobody asked for.
// One row in a hundred is written twice, as at the seam of two tables, and one in a thousand breaks its contract.
func GA4(w io.Writer, rows int, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 4))
	out := bufio.NewWriterSize(w, 1<<20)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	step := days * 24 * time.Hour / time.Duration(max(rows, 1))
	for i := range rows {
		at := start.Add(time.Duration(i) * step)
		line := ga4Row(random, i, at)
		copies := 1
		if i%100 == 7 {
			copies = 2
		}
		for range copies {
			if _, err := out.WriteString(line); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

func ga4Row(random *rand.Rand, i int, at time.Time) string {
	names := [...]string{"page_view", "page_view", "page_view", "user_engagement", "scroll", "view_item", "view_item", "add_to_cart", "begin_checkout", "purchase", "session_start", "experience_impression"}
	name := names[random.IntN(len(names))]
	visitor := random.IntN(50_000)
	price := float64(random.IntN(10_000)) / 100
	currency := "EUR"
	if i%1000 == 13 {
		currency, name = "euro", "purchase"
	}
	user := ""
	if visitor%5 == 0 {
		user = fmt.Sprintf(`"user_id":"u%d",`, visitor)
	}
	items := ""
	if name == "view_item" || name == "add_to_cart" || name == "purchase" {
		items = fmt.Sprintf(`,"items":[{"item_id":"sku_%d","item_name":"Article number %d of the shop","item_brand":"Verdict","item_category":"Apparel","quantity":"%d","price":%.2f,"price_in_usd":%.2f}]`,
			random.IntN(500), random.IntN(500), 1+random.IntN(3), price, price)
	}
	return fmt.Sprintf(`{"event_date":%q,"event_timestamp":"%d","event_name":%q,"event_params":[`+
		`{"key":"ga_session_id","value":{"int_value":"%d"}},{"key":"ga_session_number","value":{"int_value":"%d"}},{"key":"engaged_session_event","value":{"int_value":"1"}},`+
		`{"key":"page_location","value":{"string_value":"https://shop.example/category/%d?utm_source=newsletter"}},{"key":"page_title","value":{"string_value":"The shop: category %d"}},`+
		`{"key":"value","value":{"double_value":%.2f}},{"key":"currency","value":{"string_value":%q}},`+
		`{"key":"experiment_id","value":{"string_value":"one_page_checkout"}},{"key":"exp_variant_string","value":{"string_value":"%c"}}],`+
		`"event_previous_timestamp":"%d","event_bundle_sequence_id":"%d",%s"user_pseudo_id":"%d.%d","privacy_info":{"analytics_storage":"Yes","ads_storage":"Yes","uses_transient_token":"No"},`+
		`"user_first_touch_timestamp":"%d","device":{"category":%q,"mobile_brand_name":"Google","operating_system":"Windows","language":"de-de","is_limited_ad_tracking":"No","web_info":{"browser":"Chrome","hostname":"shop.example"}},`+
		`"geo":{"city":"Berlin","country":"Germany","continent":"Europe","region":"Berlin","sub_continent":"Western Europe","metro":"(not set)"},"traffic_source":{"name":"(direct)","medium":"(none)","source":"(direct)"},`+
		`"stream_id":"4711","platform":"WEB","ecommerce":{"total_item_quantity":"1","transaction_id":"T%d","purchase_revenue":%.2f}%s,"batch_event_index":"%d","batch_page_id":"%d","batch_ordering_id":"%d"}`+"\n",
		at.Format("20060102"), at.UnixMicro(), name, at.Unix()/1800*1800, 1+visitor%9, random.IntN(30), random.IntN(30), price, currency, 'A'+visitor%2,
		at.UnixMicro()-1_000_000, random.IntN(1_000_000), user, visitor, 1_700_000_000+visitor, at.UnixMicro()-86_400_000_000, [...]string{"mobile", "desktop", "tablet"}[visitor%3],
		i, price, items, 1+i%4, at.UnixMilli(), 1+i%3)
}
