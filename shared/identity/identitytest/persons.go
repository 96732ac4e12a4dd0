// Package identitytest makes data of which the truth is known: records of persons with typing
// mistakes, as FEBRL makes them, and visitors of a shop with cleared cookies, shared devices,
// households and carriers behind one address. The same seed gives the same data.
package identitytest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"verdict/shared/identity/linkage"
)

// Persons are records of people in the columns of FEBRL's data sets, and who each is of.
type Persons struct {
	Table linkage.Table
	Truth []string
}

// NewPersons makes n persons with one true record each, and on average as many copies again, up to
// three of one, in each of which one to four fields are missing or misspelt.
func NewPersons(n int, seed uint64) *Persons {
	rng := rand.New(rand.NewPCG(seed, 2))
	given, surnames, streets, suburbs := words(rng, n/12+40), words(rng, n/8+60), words(rng, n/6+60), words(rng, n/20+30)
	p := &Persons{Table: linkage.Table{Columns: []string{
		"rec_id", "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state", "date_of_birth",
	}}}
	add := func(person int, fields []string) {
		id := fmt.Sprintf("rec-%d", len(p.Table.Rows))
		p.Table.Rows = append(p.Table.Rows, append([]string{id}, fields...))
		p.Truth = append(p.Truth, fmt.Sprintf("person-%d", person))
	}
	for person := range n {
		suburb := zipf(rng, len(suburbs))
		original := []string{
			given[zipf(rng, len(given))], surnames[zipf(rng, len(surnames))], strconv.Itoa(1 + int(rng.ExpFloat64()*40)),
			streets[zipf(rng, len(streets))] + " " + [...]string{"street", "road", "place", "avenue"}[rng.IntN(4)],
			[...]string{"", "", "villa ", "flat ", "farm "}[rng.IntN(5)] + surnames[rng.IntN(len(surnames))],
			suburbs[suburb], fmt.Sprintf("%04d", 1000+37*suburb%9000), [...]string{"nsw", "vic", "qld", "wa", "sa"}[suburb%5],
			fmt.Sprintf("%04d%02d%02d", 1925+rng.IntN(80), 1+rng.IntN(12), 1+rng.IntN(28)),
		}
		if rng.IntN(4) == 0 {
			original[4] = ""
		}
		add(person, original)
		for range [...]int{0, 1, 1, 2, 1, 0, 1, 2, 0, 3}[rng.IntN(10)] {
			copied := append([]string(nil), original...)
			for range 1 + rng.IntN(4) {
				k := rng.IntN(len(copied))
				copied[k] = spoil(rng, copied[k])
			}
			add(person, copied)
		}
	}
	rng.Shuffle(len(p.Truth), func(i, j int) {
		p.Table.Rows[i], p.Table.Rows[j] = p.Table.Rows[j], p.Table.Rows[i]
		p.Truth[i], p.Truth[j] = p.Truth[j], p.Truth[i]
	})
	return p
}

// spoil makes a field missing, or makes one or two mistakes in it.
func spoil(rng *rand.Rand, text string) string {
	letters := []byte(text)
	if len(letters) < 2 || rng.IntN(6) == 0 {
		return ""
	}
	for range 1 + rng.IntN(2) {
		i := rng.IntN(len(letters) - 1)
		other := byte('a' + rng.IntN(26))
		if letters[i] >= '0' && letters[i] <= '9' {
			other = byte('0' + rng.IntN(10))
		}
		switch rng.IntN(4) {
		case 0:
			letters[i] = other
		case 1:
			letters[i], letters[i+1] = letters[i+1], letters[i]
		case 2:
			letters = append(letters[:i], letters[i+1:]...)
		case 3:
			letters = append(letters[:i], append([]byte{other}, letters[i:]...)...)
		}
		if len(letters) < 2 {
			break
		}
	}
	return string(letters)
}

// words makes n different names that can be spoken.
func words(rng *rand.Rand, n int) []string {
	seen := map[string]bool{}
	out := make([]string, 0, n)
	for len(out) < n {
		var b strings.Builder
		for range 2 + rng.IntN(3) {
			b.WriteString([...]string{"b", "br", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "w"}[rng.IntN(18)])
			b.WriteString([...]string{"a", "e", "i", "o", "u", "ay", "an", "el", "on", "ir"}[rng.IntN(10)])
		}
		if word := b.String(); !seen[word] {
			seen[word] = true
			out = append(out, word)
		}
	}
	return out
}

// zipf draws a place among n so that the first ones are common: density falls as 1/(place + n/20).
func zipf(rng *rand.Rand, n int) int {
	shift := float64(n) / 20
	return min(n-1, int(shift*(math.Pow((float64(n)+shift)/shift, rng.Float64())-1)))
}
