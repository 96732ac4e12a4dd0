package metricsapi

import (
	_ "embed"
	"encoding/json"

	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var document []byte

// contract is the OpenAPI document as JSON.
func contract() []byte {
	out, err := yaml.YAMLToJSON(document)
	if err != nil {
		panic("metricsapi: its contract is embedded: " + err.Error())
	}
	return out
}

func (a *api) openAPI(request) (answer, error) { return fixed(json.RawMessage(a.contract)) }
