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
	slots  []uint32 // open addressing: number + 1
}

const (
	blockBits = 20
	blockSize = 1 << blockBits
)

func newNames() names { return names{seed: maphash.MakeSeed(), slots: make([]uint32, 64)} }

// number finds the number of an id, and gives it one if it has none.
func (n *names) number(id string) uint32 {
	slot := n.slot(maphash.String(n.seed, id), func(known []byte) bool { return string(known) == id })
	if n.slots[slot] != 0 {
		return n.slots[slot] - 1
	}
	number := uint32(len(n.at)) //nolint:gosec // four billion ids do not fit into memory
	n.at = append(n.at, n.keep(id))
	n.slots[slot] = number + 1
	if 4*len(n.at) > 3*len(n.slots) {
		n.grow()
	}
	return number
}

// find is number for an id that may be unknown.
func (n *names) find(id string) (uint32, bool) {
	slot := n.slot(maphash.String(n.seed, id), func(known []byte) bool { return string(known) == id })
	return n.slots[slot] - 1, n.slots[slot] != 0
}

// slot is where an id of this hash stands, or the free place where it would.
func (n *names) slot(hash uint64, same func([]byte) bool) int {
	mask := len(n.slots) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask { //nolint:gosec // only the low bits count
		if n.slots[i] == 0 || same(n.bytes(n.slots[i]-1)) {
			return i
		}
	}
}

func (n *names) grow() {
	n.slots = make([]uint32, 2*len(n.slots))
	mask := len(n.slots) - 1
	for number := range n.at {
		i := int(maphash.Bytes(n.seed, n.bytes(uint32(number)))) & mask //nolint:gosec // only the low bits count
		for n.slots[i] != 0 {
			i = (i + 1) & mask
		}
		n.slots[i] = uint32(number) + 1
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
