package identity

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// names numbers ids in the order they are first met. Ten million ids as Go strings in a map take
// three times as much memory, and the collector would have to look at each of them.
type names struct {
	seed   maphash.Seed
	blocks [][]byte // each id behind its length
	at     []uint32 // where an id stands: block and offset
	slots  []slot   // open addressing
}

type slot struct {
	hash   uint32
	number uint32 // + 1
}

const (
	blockBits = 20
	blockSize = 1 << blockBits
)

func newNames() names { return names{seed: maphash.MakeSeed(), slots: make([]slot, 64)} }

// number finds the number of an id, and gives it one if it has none.
func (n *names) number(id string) uint32 {
	hash := n.hash(id)
	at := n.slot(hash, id)
	if known := n.slots[at].number; known != 0 {
		return known - 1
	}
	number := uint32(len(n.at)) //nolint:gosec // four billion ids do not fit into memory
	n.at = append(n.at, n.keep(id))
	n.slots[at] = slot{hash, number + 1}
	if 4*len(n.at) > 3*len(n.slots) {
		n.grow()
	}
	return number
}

// find is number for an id that may be unknown.
func (n *names) find(id string) (uint32, bool) {
	known := n.slots[n.slot(n.hash(id), id)].number
	return known - 1, known != 0
}

func (n *names) hash(id string) uint32 { return uint32(maphash.String(n.seed, id)) } //nolint:gosec // its low bits

// slot is where an id stands, or the free place where it would. It looks at ids of the same hash only.
func (n *names) slot(hash uint32, id string) int {
	mask := len(n.slots) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		if s := n.slots[i]; s.number == 0 || s.hash == hash && string(n.bytes(s.number-1)) == id {
			return i
		}
	}
}

func (n *names) grow() {
	old := n.slots
	n.slots = make([]slot, 2*len(old))
	mask := len(n.slots) - 1
	for _, s := range old {
		if s.number == 0 {
			continue
		}
		i := int(s.hash) & mask
		for n.slots[i].number != 0 {
			i = (i + 1) & mask
		}
		n.slots[i] = s
	}
}

func (n *names) keep(id string) uint32 {
	need := len(id) + binary.MaxVarintLen32
	last := len(n.blocks) - 1
	if last < 0 || len(n.blocks[last])+need > blockSize {
		n.blocks = append(n.blocks, make([]byte, 0, max(blockSize, need)))
		last++
	}
	at := uint32(last<<blockBits | len(n.blocks[last])) //nolint:gosec // four gigabytes of ids
	b := binary.AppendUvarint(n.blocks[last], uint64(len(id)))
	n.blocks[last] = append(b, id...)
	return at
}

func (n *names) bytes(number uint32) []byte {
	b := n.blocks[n.at[number]>>blockBits][n.at[number]&(blockSize-1):]
	length, size := binary.Uvarint(b)
	return b[size : size+int(length)] //nolint:gosec // written by keep
}

func (n *names) id(number uint32) string { return string(n.bytes(number)) }

func (n *names) compare(a, b uint32) int { return bytes.Compare(n.bytes(a), n.bytes(b)) }
