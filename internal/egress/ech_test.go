package egress

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"testing"
)

// echConfig is what a server publishes that hides names behind public.
func echConfig(t *testing.T, public string) []byte {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u16 := binary.BigEndian.AppendUint16
	c := []byte{1}                            // id
	c = u16(c, 0x0020)                        // X25519
	c = u16(c, 32)                            //
	c = append(c, key.PublicKey().Bytes()...) //
	c = append(c, 0, 4, 0, 1, 0, 1)           // HKDF-SHA256, AES-128-GCM
	c = append(c, 32, byte(len(public)))      //
	c = append(c, public...)                  //
	c = u16(c, 0)                             // no extensions
	c = append(u16(u16(nil, 0xfe0d), uint16(len(c))), c...)
	return append(u16(nil, uint16(len(c))), c...)
}
