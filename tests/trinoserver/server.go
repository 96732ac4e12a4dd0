// Package trinoserver runs a real Trino on this machine and asks it, for tests that want what Athena's engine means by
// SQL.
package trinoserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// leastJava is what Trino 476 asks for.
const leastJava = 24

// Catalog is the one that a server has, and the schema in it where names without one are looked up.
type Catalog struct {
	Name, Schema string
	Properties   []string
}

// Server is a Trino with one catalog.
type Server struct {
	catalog Catalog
	url     string
	process *exec.Cmd
	log     *os.File
	done    chan error
}

// Start starts the server that is unpacked in home, keeps what it writes beside its catalog below data, and waits until
// it answers.
func Start(ctx context.Context, home, data string, catalog Catalog, say func(string)) (*Server, error) {
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	etc := filepath.Join(data, "etc")
	for name, lines := range map[string][]string{
		"node.properties": {"node.environment=test", "node.data-dir=" + filepath.Join(data, "node"), "node.bind-ip=127.0.0.1", "node.internal-address=127.0.0.1"},
		"config.properties": {
			"coordinator=true", "node-scheduler.include-coordinator=true", "http-server.http.port=" + address[strings.LastIndexByte(address, ':')+1:],
			"discovery.uri=http://" + address, "catalog.management=static", "catalog.config-dir=" + filepath.Join(etc, "catalog"), "query.max-memory=1GB", "query.max-memory-per-node=1GB", "memory.heap-headroom-per-node=512MB",
		},
		"catalog/" + catalog.Name + ".properties": append([]string{"connector.name=hive"}, catalog.Properties...),
		"log.properties": {"io.trino=WARN", "io.airlift=WARN"},
	} {
		path := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	s := &Server{catalog: catalog, url: "http://" + address, done: make(chan error, 1)}
	if s.log, err = os.Create(filepath.Join(data, "server.log")); err != nil {
		return nil, err
	}
	s.process = exec.CommandContext(ctx, java, "-Xmx2G", "-XX:+ExitOnOutOfMemoryError", "-Duser.timezone=UTC", "-Djdk.attach.allowAttachSelf=true",
		"--add-modules=jdk.incubator.vector", "--sun-misc-unsafe-memory-access=allow", "-Dlog.levels-file="+filepath.Join(etc, "log.properties"),
		"-Dconfig="+filepath.Join(etc, "config.properties"), "-Dnode.environment=test", "-Dnode.data-dir="+filepath.Join(data, "node"),
		"-Dnode.bind-ip=127.0.0.1", "-Dnode.internal-address=127.0.0.1", "-cp", filepath.Join(home, "lib", "*"), "io.trino.server.TrinoServer")
	s.process.Dir, s.process.Stdout, s.process.Stderr = home, s.log, s.log
	s.process.Env = append(os.Environ(), "TZ=UTC")
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.process.Wait() }()
	return s, s.wait(ctx, say)
}

const patience = 3 * time.Minute

func (s *Server) wait(ctx context.Context, say func(string)) error {
	begun := time.Now()
	for time.Since(begun) < patience {
		select {
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("trino ended: %w\n%s", err, s.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
		if _, err := s.Query(ctx, "select 1"); err == nil {
			say(fmt.Sprintf("Trino answers after %.0f s", time.Since(begun).Seconds()))
			return nil
		}
		say(fmt.Sprintf("Trino is starting: %.0f s", time.Since(begun).Seconds()))
	}
	return fmt.Errorf("trino did not start in %s\n%s", patience, s.tail())
}

func (s *Server) tail() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Stop ends the server.
func (s *Server) Stop() error {
	err := s.process.Process.Kill()
	<-s.done
	return errors.Join(err, s.log.Close())
}

// findJava looks for a Java that is new enough: JAVA_HOME, the path, then where Debian keeps them.
func findJava(ctx context.Context) (string, error) {
	candidates := []string{filepath.Join(os.Getenv("JAVA_HOME"), "bin", "java"), "java"}
	installed, err := filepath.Glob("/usr/lib/jvm/*/bin/java")
	if err != nil {
		return "", err
	}
	for _, java := range append(candidates, installed...) {
		out, err := exec.CommandContext(ctx, java, "-XshowSettings:properties", "-version").CombinedOutput()
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(out), "java.specification.version = ")
		version, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.Atoi(strings.TrimSpace(version)); err == nil && n >= leastJava {
			return java, nil
		}
	}
	return "", fmt.Errorf("find Java: Trino needs Java %d or later; set JAVA_HOME", leastJava)
}

// page is an answer of the statement protocol (https://trino.io/docs/current/develop/client-protocol.html).
type page struct {
	NextURI string `json:"nextUri"`
	Columns []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"columns"`
	Data  [][]json.RawMessage `json:"data"`
	Error *struct {
		Message   string `json:"message"`
		ErrorName string `json:"errorName"`
		ErrorType string `json:"errorType"`
	} `json:"error"`
}

// Query implements lake.Engine's.
func (s *Server) Query(ctx context.Context, sql string) (lake.Result, error) {
	var out lake.Result
	var types []string
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/statement", strings.NewReader(sql))
	for {
		if err != nil {
			return out, fmt.Errorf("ask trino: %w", err)
		}
		for name, value := range map[string]string{"X-Trino-User": "test", "X-Trino-Catalog": s.catalog.Name, "X-Trino-Schema": s.catalog.Schema, "X-Trino-Time-Zone": "UTC"} {
			request.Header.Set(name, value)
		}
		p, err := fetch(request)
		if err != nil {
			return out, err
		}
		if p.Error != nil {
			class := fault.Internal
			if p.Error.ErrorType == "USER_ERROR" {
				class = fault.Invalid
			}
			return out, fault.New(class, "run query: %s: %s", p.Error.ErrorName, p.Error.Message)
		}
		if out.Columns == nil {
			for _, c := range p.Columns {
				out.Columns, types = append(out.Columns, c.Name), append(types, c.Type)
			}
		}
		for _, row := range p.Data {
			values := make([]*string, len(row))
			for i, v := range row {
				values[i] = text(v, types[i])
			}
			out.Rows = append(out.Rows, values)
		}
		if p.NextURI == "" {
			return out, nil
		}
		if request, err = http.NewRequestWithContext(ctx, http.MethodGet, p.NextURI, http.NoBody); err != nil {
			return out, err
		}
	}
}

func fetch(request *http.Request) (page, error) {
	var p page
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return p, fmt.Errorf("ask trino: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return p, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return p, fmt.Errorf("ask trino: %s: %s", response.Status, body)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return p, d.Decode(&p)
}

// text is a value as lake.Result has it.
func text(v json.RawMessage, kind string) *string {
	if string(v) == "null" {
		return nil
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		s = string(v)
	}
	if kind == "double" || kind == "real" {
		if x, err := strconv.ParseFloat(s, 64); err == nil {
			s = strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	return &s
}
