#!/bin/sh
# Go's encoding/gob (1.19.8, Debian's golang) cannot skip every value it writes.
#
# A field of an interface type travels as name, type ID, length and value, and one takes the length for that of the
# value: a decoder that does not know the field skips so many bytes. But where a struct inside (an element of a
# []interface{}, say) is sent for the first time, its definition stands in the middle, the value goes on as a message
# of its own, and the length tells no more than the part up to there. Go's decoder itself then reads on in the middle
# of the value and fails, although the struct it decodes into has every field but that one.
#
# Seen: the same value is skipped when the struct was defined earlier in the stream, and not when it was not.
#   first time: "" gob: bad data: field numbers out of bounds
#   second time: "b" <nil>
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/main.go" <<'GO'
package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

type T struct{ S string }
type full struct {
	A interface{}
	B string
}
type part struct{ B string }

func main() {
	gob.Register(T{})
	gob.Register([]interface{}{})
	for _, first := range []bool{true, false} {
		var stream bytes.Buffer
		encoder, decoder := gob.NewEncoder(&stream), gob.NewDecoder(&stream)
		if !first {
			var known T
			encoder.Encode(T{"x"})
			decoder.Decode(&known)
		}
		encoder.Encode(full{[]interface{}{T{"x"}}, "b"})
		var got part
		err := decoder.Decode(&got)
		fmt.Printf("%q %v\n", got.B, err)
	}
}
GO
cd "$folder"
seen=$(GO111MODULE=off GOFLAGS= GOCACHE="$folder/cache" go run main.go)
echo "$seen"
[ "$seen" = '"" gob: bad data: field numbers out of bounds
"b" <nil>' ]
