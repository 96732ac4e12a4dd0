package main

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// What the docs deploy, fill and set is there: stacks, secrets, namespaces of write keys, context variables.
func TestTheDocsNameWhatIsDeployed(t *testing.T) {
	s := all(t)
	secrets := map[string]bool{}
	for _, r := range s.of("AWS::SecretsManager::Secret") {
		secrets[text(r.properties["Name"])] = true
	}
	namespaces := map[string]bool{}
	for _, e := range []Environment{dev(), staging(), prod()} {
		for _, n := range e.Namespaces {
			namespaces[e.Name+" "+n] = true
		}
	}
	source, err := os.ReadFile("stack.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range []string{"../docs/guide.md", "../docs/deploy.md", "../docs/operations.md", "../docs/metrics-api.md", "../README.md"} {
		body, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`cdk\S* (?:deploy|diff|destroy) '([^']+)'`).FindAllStringSubmatch(string(body), -1) {
			found++
			stacks := 0
			for where := range s.templates {
				if ok, err := path.Match(m[1], where); err == nil && ok {
					stacks++
				}
			}
			if stacks == 0 || strings.HasSuffix(m[1], "/*") && stacks < 2 {
				t.Errorf("%s: %q matches %d stacks", page, m[1], stacks)
			}
		}
		for _, m := range regexp.MustCompile(`--secret-id verdict/(\w+)/(\S+) +--secret-string '?("?[^\n]*)`).FindAllStringSubmatch(string(body), -1) {
			found++
			if !secrets["verdict/"+m[1]+"/"+m[2]] {
				t.Errorf("%s: there is no secret verdict/%s/%s, but %v", page, m[1], m[2], secrets)
			}
			if key := regexp.MustCompile(`"wk_\w+": *"(\w+)"`).FindStringSubmatch(m[3]); key != nil && !namespaces[m[1]+" "+key[1]] {
				t.Errorf("%s: a write key stands for %s, which is no namespace of %s: Athena would not see its events", page, key[1], m[1])
			}
		}
		for _, m := range regexp.MustCompile(`cdk[^\n]* -c (\w+)=`).FindAllStringSubmatch(string(body), -1) {
			found++
			if !strings.Contains(string(source), `TryGetContext(jsii.String("`+m[1]+`"))`) {
				t.Errorf("%s: infra asks for no context variable %s", page, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("the docs name only %d things: the patterns are out of date", found)
	}
}
