package main

// sheets are what the analysis and the dashboard show: which experiments are decided and how, how an effect came to be
// what it is, and how the pipeline is.
func sheets() []any {
	return []any{
		map[string]any{
			"sheetId": "experiments", "name": "Experiments",
			"filterControls": []any{map[string]any{"dropdown": map[string]any{
				"filterControlId": "pick", "sourceFilterId": "experiment", "title": "Experiment", "type": "SINGLE_SELECT",
			}}},
			"visuals": []any{
				listing("decided", "Decisions", "decisions", "as_of", "experiment_id", "verdict", "variant", "headline", "mode", "applied_at"),
				overTime("lift", "Lift, with its anytime-valid interval", "results", "metric", "lift_low", "lift", "lift_high"),
				listing("valid", "Validity: while one fails, no result counts", "checks", "as_of", "experiment_id", "name", "status", "detail"),
				listing("numbers", "Results", "results", "as_of", "experiment_id", "label", "role", "variant", "units_control", "units_treatment",
					"mean_control", "mean_treatment", "lift", "lift_low", "lift_high", "anytime_p", "significance", "guardrail"),
			},
		},
		map[string]any{
			"sheetId": "pipeline", "name": "Pipeline",
			"visuals": []any{
				overTime("pulse", "Readings", "readings", "name", "value"),
				listing("limits", "Readings and their limits", "readings", "as_of", "name", "subject", "value", "threshold", "says"),
			},
		},
	}
}

// filters bind the sheet's control to what stands in it.
func filters() []any {
	return []any{map[string]any{
		"filterGroupId": "experiment", "crossDataset": "ALL_DATASETS",
		"filters": []any{map[string]any{"categoryFilter": map[string]any{
			"filterId": "experiment", "column": of("results", "experiment_id"),
			"configuration": map[string]any{"filterListConfiguration": map[string]any{"matchOperator": "CONTAINS", "selectAllOptions": "FILTER_ALL_VALUES"}},
		}}},
		"scopeConfiguration": map[string]any{"selectedSheets": map[string]any{"sheetVisualScopingConfigurations": []any{
			map[string]any{"sheetId": "experiments", "scope": "ALL_VISUALS"},
		}}},
		"status": "ENABLED",
	}}
}

func of(set, column string) map[string]any {
	return map[string]any{"dataSetIdentifier": set, "columnName": column}
}

func title(text string) map[string]any {
	return map[string]any{"visibility": "VISIBLE", "formatText": map[string]any{"plainText": text}}
}

// listing shows rows as they are.
func listing(id, name, set string, columns ...string) any {
	var values []any
	for _, c := range columns {
		values = append(values, map[string]any{"fieldId": id + "." + c, "column": of(set, c)})
	}
	return map[string]any{"tableVisual": map[string]any{
		"visualId": id, "title": title(name),
		"chartConfiguration": map[string]any{
			"fieldWells": map[string]any{"tableUnaggregatedFieldWells": map[string]any{"values": values}},
			"sortConfiguration": map[string]any{"rowSort": []any{map[string]any{
				"fieldSort": map[string]any{"fieldId": id + "." + columns[0], "direction": "DESC"},
			}}},
		},
	}}
}

// overTime draws measures by day. With one measure a line is drawn for each value of the column by; with several, small
// charts are, since QuickSight colours either lines or measures.
func overTime(id, name, set, by string, measures ...string) any {
	var values []any
	for _, m := range measures {
		values = append(values, map[string]any{"numericalMeasureField": map[string]any{
			"fieldId": id + "." + m, "column": of(set, m), "aggregationFunction": map[string]any{"simpleNumericalAggregation": "MAX"}, // one row a day
		}})
	}
	wells := map[string]any{
		"category": []any{map[string]any{"dateDimensionField": map[string]any{"fieldId": id + ".as_of", "column": of(set, "as_of"), "dateGranularity": "DAY"}}},
		"values":   values,
	}
	apart := []any{map[string]any{"categoricalDimensionField": map[string]any{"fieldId": id + "." + by, "column": of(set, by)}}}
	if len(measures) == 1 {
		wells["colors"] = apart
	} else {
		wells["smallMultiples"] = apart
	}
	return map[string]any{"lineChartVisual": map[string]any{
		"visualId": id, "title": title(name),
		"chartConfiguration": map[string]any{"type": "LINE", "fieldWells": map[string]any{"lineChartAggregatedFieldWells": wells}},
	}}
}
