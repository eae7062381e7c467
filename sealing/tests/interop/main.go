// Opens sealed objects with Go's own HPKE and ML-KEM: a second implementation of docs/format.md that
// shares no code and no cryptographic library with the first.
//
// stdin: a JSON list of objects; stdout: for each its values in base64, or why it did not open.
package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

type object struct {
	Identity     string              `json:"identity"`
	Namespace    string              `json:"namespace"`
	Name         string              `json:"name"`
	Type         string              `json:"type"`
	TemplateData map[string]string   `json:"templateData"`
	Envelopes    map[string]envelope `json:"envelopes"`
	Entries      map[string]string   `json:"entries"`
}

type envelope struct {
	Binding       string            `json:"binding"`
	SealedAt      string            `json:"sealedAt"`
	TemplateBound bool              `json:"templateBound"`
	Commitment    string            `json:"commitment"`
	Recipients    map[string]string `json:"recipients"`
}

type result struct {
	Values map[string]string `json:"values,omitempty"`
	Error  string            `json:"error,omitempty"`
}

func main() {
	var objects []object
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		fmt.Fprintln(os.Stderr, "stdin:", err)
		os.Exit(1)
	}
	results := make([]result, len(objects))
	for i, o := range objects {
		values, err := o.open()
		if err != nil {
			results[i].Error = err.Error()
			continue
		}
		results[i].Values = values
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		os.Exit(1)
	}
}

// key is a private key with what its suite fixes.
type key struct {
	private hpke.PrivateKey
	suite   byte
	ids     []byte
	id      []byte
	encLen  int
}

func parseKey(line string) (*key, error) {
	prefix, seed, err := bech32(line)
	if err != nil {
		return nil, err
	}
	k := &key{}
	var kem hpke.KEM
	switch prefix {
	case "AGE-SECRET-KEY-PQ-":
		kem, k.suite, k.encLen = hpke.MLKEM768X25519(), 1, 1120
	case "AGE-SECRET-KEY-":
		kem, k.suite, k.encLen = hpke.DHKEM(ecdh.X25519()), 2, 32
	default:
		return nil, errors.New("no identity")
	}
	if k.private, err = kem.NewPrivateKey(seed); err != nil {
		return nil, err
	}
	k.ids = binary.BigEndian.AppendUint16(nil, kem.ID())
	k.ids = append(k.ids, 0, 1, 0, 3)
	hash := sha256.New()
	hash.Write([]byte("waxwing/v1/key-id"))
	hash.Write(k.ids)
	hash.Write(k.private.PublicKey().Bytes())
	k.id = hash.Sum(nil)
	return k, nil
}

func (k *key) short() string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(k.id[:8]))
}

func (k *key) unwrap(wrap, h, c []byte) ([]byte, error) {
	if len(wrap) != 1+k.encLen+48 || wrap[0] != k.suite {
		return nil, errors.New("length or suite of the wrap")
	}
	info := append([]byte("waxwing/v1/wrap"), k.ids...)
	info = append(info, k.id...)
	r, err := hpke.NewRecipient(wrap[1:1+k.encLen], k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
	if err != nil {
		return nil, err
	}
	return r.Open(append(bytes.Clone(h), c...), wrap[1+k.encLen:])
}

func (o *object) open() (map[string]string, error) {
	k, err := parseKey(o.Identity)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, token := range o.Entries {
		value, err := o.openEntry(k, name, token)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = base64.StdEncoding.EncodeToString(value)
	}
	return values, nil
}

func (o *object) openEntry(k *key, name, token string) ([]byte, error) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 || parts[0] != "wx1" {
		return nil, errors.New("token")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if parts[1] == "self" {
		return o.openAlone(k, name, raw)
	}
	e, there := o.Envelopes[parts[1]]
	if !there {
		return nil, errors.New("no such envelope")
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", e.SealedAt)
	if err != nil {
		return nil, err
	}
	scope := map[string]byte{"strict": 1, "namespace": 2, "cluster": 3}[strings.SplitN(e.Binding, ":", 2)[0]]
	claim := map[byte]string{
		1: "strict:" + o.Namespace + "/" + o.Name + ":" + o.Type,
		2: "namespace:" + o.Namespace + ":" + o.Type,
		3: "cluster:" + o.Type,
	}[scope]
	if e.Binding != claim {
		return nil, errors.New("misplaced")
	}
	c, err := base64.RawURLEncoding.Strict().DecodeString(e.Commitment)
	if err != nil {
		return nil, err
	}
	var wrap []byte
	for recipient, text := range e.Recipients {
		if strings.HasSuffix(recipient, "."+k.short()) {
			if wrap, err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
				return nil, err
			}
		}
	}
	return o.openWith(k, name, scope, e.TemplateBound, uint64(at.Unix()), c, wrap, raw)
}

func (o *object) openAlone(k *key, name string, raw []byte) ([]byte, error) {
	r := bytes.NewBuffer(raw)
	at := binary.BigEndian.Uint64(r.Next(8))
	scope, _ := r.ReadByte()
	lp16 := func() []byte { return bytes.Clone(r.Next(int(binary.BigEndian.Uint16(r.Next(2))))) }
	lp16()
	lp16()
	lp16()
	bound := len(lp16()) == 32
	c := bytes.Clone(r.Next(32))
	n, _ := r.ReadByte()
	var wrap []byte
	for range n {
		id := bytes.Clone(r.Next(32))
		text := lp16()
		if bytes.Equal(id, k.id) {
			wrap = text
		}
	}
	return o.openWith(k, name, scope, bound, at, c, wrap, r.Bytes())
}

func (o *object) openWith(k *key, name string, scope byte, bound bool, at uint64, c, wrap, entry []byte) ([]byte, error) {
	if wrap == nil {
		return nil, errors.New("unknown key")
	}
	h := o.header(scope, bound, at)
	dek, err := k.unwrap(wrap, h, c)
	if err != nil {
		return nil, err
	}
	prk, err := hkdf.Extract(sha256.New, dek, []byte("waxwing/v1/prk"))
	if err != nil {
		return nil, err
	}
	commitment, err := hkdf.Expand(sha256.New, prk, "waxwing/v1/commit"+string(h), 32)
	if err != nil || subtle.ConstantTimeCompare(commitment, c) != 1 {
		return nil, errors.New("commitment")
	}
	entryKey, err := hkdf.Expand(sha256.New, prk, "waxwing/v1/entry-key"+string(h), 32)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(entryKey)
	if err != nil {
		return nil, err
	}
	aad := lp16([]byte("waxwing/v1/entry"), h)
	aad = append(aad, c...)
	aad = append(lp16(aad, []byte(name)), entry[0])
	padded, err := aead.Open(nil, entry[1:25], entry[25:], aad)
	if err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(padded)
	if uint64(length)+4 > uint64(len(padded)) || len(padded) != max(64, padme(int(length)+4)) {
		return nil, errors.New("padding")
	}
	for _, b := range padded[4+length:] {
		if b != 0 {
			return nil, errors.New("padding")
		}
	}
	return padded[4 : 4+length], nil
}

func (o *object) header(scope byte, bound bool, at uint64) []byte {
	namespace, name := o.Namespace, o.Name
	if scope >= 2 {
		name = ""
	}
	if scope == 3 {
		namespace = ""
	}
	var digest []byte
	if bound {
		digest = o.templateDigest()
	}
	h := []byte{'W', 'X', 'W', '1', 1, scope}
	h = lp16(h, []byte(namespace))
	h = lp16(h, []byte(name))
	h = lp16(h, []byte(o.Type))
	h = lp16(h, digest)
	return binary.BigEndian.AppendUint64(h, at)
}

func (o *object) templateDigest() []byte {
	var keys []string
	for key := range o.TemplateData {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	all := binary.BigEndian.AppendUint16(nil, uint16(len(keys)))
	for _, key := range keys {
		text := o.TemplateData[key]
		all = lp16(all, []byte(key))
		all = binary.BigEndian.AppendUint32(all, uint32(len(text)))
		all = append(all, text...)
	}
	sum := sha256.Sum256(all)
	return sum[:]
}

func lp16(to, field []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(field))), field...)
}

func padme(length int) int {
	e := bits.Len(uint(length)) - 1
	s := bits.Len(uint(e))
	mask := 1<<(e-s) - 1
	return (length + mask) &^ mask
}

// bech32 splits an identity into prefix and bytes. The checksum is not looked at: a wrong key opens
// nothing.
func bech32(text string) (string, []byte, error) {
	at := strings.LastIndexByte(text, '1')
	if at < 0 || len(text)-at < 8 {
		return "", nil, errors.New("no key")
	}
	var out []byte
	acc, count := 0, 0
	for _, letter := range text[at+1 : len(text)-6] {
		value := strings.IndexRune("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", letter)
		if value < 0 {
			return "", nil, errors.New("no key")
		}
		acc, count = (acc<<5|value)&0xfff, count+5
		if count >= 8 {
			count -= 8
			out = append(out, byte(acc>>count))
		}
	}
	return text[:at], out, nil
}
