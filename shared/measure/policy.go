package measure

import (
	"fmt"

	"verdict/shared/experiment"
	"verdict/shared/lake"
)

// Policy says who counts as one unit, and for which variant a unit counts that saw several.
type Policy string

// The policies. The readout is under Resolved; where another gives another verdict, it rests on who was taken for whom.
const (
	Resolved   Policy = "resolved"
	Certain    Policy = "certain"
	FirstTouch Policy = "first_touch"
	LastTouch  Policy = "last_touch"
	Strict     Policy = "strict"
)

// Policies lists all.
func Policies() []Policy { return []Policy{Resolved, Certain, FirstTouch, LastTouch, Strict} }

// Says is what a policy does, in a sentence.
func (p Policy) Says() string {
	return map[Policy]string{
		Resolved:   "ids of one person are one unit; who saw several variants is left out (the readout)",
		Certain:    "as resolved, without links that are only probable",
		FirstTouch: "a shared device is its first user's; who saw several variants counts for the first",
		LastTouch:  "a shared device is its last user's; who saw several variants counts for the last",
		Strict:     "every id is a unit of its own; ids that saw several variants are left out",
	}[p]
}

// source is where units and their ids stand: the published tables, or named SELECTs in front of a query. Nothing is
// written under another policy than the readout's.
type source struct {
	exposure, user string
	ctes           []string
	id             string // whose an event of fact_event is, where that is not its entity_id
}

func (p Policy) source(e *experiment.Experiment) source {
	if p == Resolved {
		return source{exposure: "fact_experiment_exposure", user: "dim_user"}
	}
	of := source{exposure: "policy_exposure", user: "policy_user", ctes: p.users()}
	whose := "e.entity_id"
	if p == Strict { // a session counts for nobody but the id that its event carries
		of.id = "coalesce('u:' || e.user_id, 'a:' || e.anonymous_id)"
		whose = of.id
	}
	order, variant, several := "e.event_ts, e.event_id", "max(case when nth = 1 then variant end)", "false"
	switch p {
	case LastTouch:
		order = "e.event_ts desc, e.event_id desc"
	case Resolved, Certain, Strict:
		variant, several = "min(variant)", "count(distinct variant) > 1"
	case FirstTouch:
	}
	id := lake.Quote(e.ID)
	of.ctes = append(of.ctes, fmt.Sprintf(`policy_shown as (
    select
        u.unit_id,
        json_extract_scalar(e.properties, '$.variant') as variant,
        e.event_ts,
        row_number() over (partition by u.unit_id order by %s) as nth
    from fact_event as e
    join policy_user as u on u.entity_id = %s
    where e.event_name = 'experiment_exposed'
        and json_extract_scalar(e.properties, '$.experiment_id') = %s
        and not e.is_bot
)`, order, whose, id), fmt.Sprintf(`policy_exposure as (
    select
        %s as experiment_id,
        unit_id,
        %s as variant,
        min(event_ts) as first_exposure_ts,
        cast(cast(min(event_ts) as date) as varchar) as exposure_date,
        %s as is_multi_variant
    from policy_shown
    group by unit_id
)`, id, variant, several))
	return of
}

// users gives each id its unit.
func (p Policy) users() []string {
	unit, join := "unit_id", ""
	var out []string
	switch p {
	case Strict:
		unit = "entity_id"
	case Certain:
		unit = "case when method = 'linked' then entity_id else unit_id end"
	case FirstTouch, LastTouch:
		order := "first_seen, user_id"
		if p == LastTouch {
			order = "last_seen desc, user_id desc"
		}
		out = append(out, fmt.Sprintf(`policy_edge as (
    select
        anonymous_id,
        user_id,
        row_number() over (partition by anonymous_id order by %s) as nth,
        count(*) over (partition by anonymous_id) as users
    from identity_edge
)`, order))
		unit, join = "coalesce('u:' || s.user_id, unit_id)", `
    left join policy_edge as s
        on 'a:' || s.anonymous_id = entity_id
        and s.nth = 1
        and s.users > 1`
	case Resolved:
	}
	return append(out, fmt.Sprintf(`policy_user as (
    select
        entity_id,
        %s as unit_id,
        valid_to
    from dim_user%s
    where valid_to is null
)`, unit, join))
}
