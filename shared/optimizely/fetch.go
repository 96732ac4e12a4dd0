package optimizely

import (
	"context"
	"io"
	"net/http"

	"verdict/shared/fault"
	"verdict/shared/feature"
)

// maxDatafile is far above any real one: Optimizely advises to stay below 1 MB.
const maxDatafile = 32 << 20

// Datafile is the datafile of one environment, at the address that Optimizely publishes it under.
type Datafile struct {
	URL         string
	Environment string
	Client      *http.Client // needs a timeout
}

// Flags fetches the datafile and lists its flags: none while there is no address.
func (d Datafile) Flags(ctx context.Context) ([]feature.Flag, error) {
	if d.URL == "" {
		return nil, nil
	}
	body, err := d.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return ReadDatafile(body, d.Environment)
}

// Body fetches the datafile as it is; nothing while there is no address.
func (d Datafile) Body(ctx context.Context) ([]byte, error) {
	if d.URL == "" {
		return nil, nil
	}
	return d.fetch(ctx)
}

func (d Datafile) fetch(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "fetch datafile: %w", err)
	}
	answer, err := d.Client.Do(request)
	if err != nil {
		return nil, fault.New(fault.Transient, "fetch datafile: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read whole
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDatafile))
	if err != nil {
		return nil, fault.New(fault.Transient, "fetch datafile: %w", err)
	}
	switch {
	case answer.StatusCode == http.StatusOK:
		return body, nil
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError:
		return nil, fault.New(fault.Transient, "fetch datafile: the CDN answered %s", answer.Status)
	default: // the CDN answers 403 for an SDK key that it does not know
		return nil, fault.New(fault.Invalid, "fetch datafile: the CDN answered %s: check the SDK key in its address", answer.Status)
	}
}
