package lineage

import "time"

// OpenLineage's run events, as far as we say them (schema 2-0-2).

const (
	specification = "https://openlineage.io/spec/"
	eventSchema   = specification + "2-0-2/OpenLineage.json#/$defs/RunEvent"
	producer      = "urn:verdict:pipeline"
)

// The types of events: a run has one START and one of the others.
const (
	Start    = "START"
	Complete = "COMPLETE"
	Abort    = "ABORT" // it was told to stop
	Fail     = "FAIL"
)

// Event says that a run began or ended.
type Event struct {
	Type     string    `json:"eventType"`
	Time     time.Time `json:"eventTime"`
	Run      Run       `json:"run"`
	Job      Job       `json:"job"`
	Inputs   []Dataset `json:"inputs"`
	Outputs  []Dataset `json:"outputs"`
	Producer string    `json:"producer"`
	Schema   string    `json:"schemaURL"`
}

// Run is one run of a job.
type Run struct {
	ID     string         `json:"runId"` // a UUID
	Facets map[string]any `json:"facets,omitempty"`
}

// Job is what runs again and again.
type Job struct {
	Namespace string         `json:"namespace"`
	Name      string         `json:"name"`
	Facets    map[string]any `json:"facets,omitempty"`
}

// Dataset is a table.
type Dataset struct {
	Namespace    string         `json:"namespace"`
	Name         string         `json:"name"`
	Facets       map[string]any `json:"facets,omitempty"`
	InputFacets  map[string]any `json:"inputFacets,omitempty"`
	OutputFacets map[string]any `json:"outputFacets,omitempty"`
}

// facet is what every facet says of itself.
type facet struct {
	Producer string `json:"_producer"`
	Schema   string `json:"_schemaURL"`
}

func of(version, name string) facet {
	return facet{producer, specification + "facets/" + version + "/" + name + ".json#/$defs/" + name}
}

type sqlFacet struct {
	facet
	Query   string `json:"query"`
	Dialect string `json:"dialect"`
}

type jobTypeFacet struct {
	facet
	Processing  string `json:"processingType"`
	Integration string `json:"integration"`
	Type        string `json:"jobType"`
}

type documentationFacet struct {
	facet
	Description string `json:"description"`
}

type nominalTimeFacet struct {
	facet
	Start time.Time `json:"nominalStartTime"`
}

type parentFacet struct {
	facet
	Run struct {
		ID string `json:"runId"`
	} `json:"run"`
	Job struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"job"`
}

type errorFacet struct {
	facet
	Message  string `json:"message"`
	Language string `json:"programmingLanguage"`
}

type schemaFacet struct {
	facet
	Fields []fieldOfSchema `json:"fields"`
}

type fieldOfSchema struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
}

type columnLineageFacet struct {
	facet
	Fields map[string]madeOf `json:"fields"`
}

type madeOf struct {
	Inputs []inputField `json:"inputFields"`
}

type inputField struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Field     string `json:"field"`
}

type assertionsFacet struct {
	facet
	Assertions []assertion `json:"assertions"`
}

type assertion struct {
	Assertion   string `json:"assertion"`
	Description string `json:"description"`
	Success     bool   `json:"success"`
	Severity    string `json:"severity"`
	Expected    string `json:"expected"`
	Actual      string `json:"actual"`
}

type statisticsFacet struct {
	facet
	Size  int64 `json:"size"`
	Files int   `json:"fileCount"`
}
