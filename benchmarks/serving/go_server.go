// Go's net/http and crypto/ecdsa, with an API key; no grants, no rules, no audit.
package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

type body struct {
	ViewerID   string `json:"viewer_id"`
	TTLSeconds int64  `json:"ttl_seconds"`
}

type claims struct {
	ChannelARN string `json:"aws:channel-arn"`
	ViewerID   string `json:"aws:viewer-id"`
	Exp        int64  `json:"exp"`
}

const coordinateBytes = 48

var header = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES384","typ":"JWT"}`))

func sign(key *ecdsa.PrivateKey, payload claims) (string, error) {
	text, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	input := header + "." + base64.RawURLEncoding.EncodeToString(text)
	digest := sha512.Sum384([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 2*coordinateBytes)
	r.FillBytes(signature[:coordinateBytes])
	s.FillBytes(signature[coordinateBytes:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func privateKey() *ecdsa.PrivateKey {
	text, err := os.ReadFile(os.Getenv("BENCH_PRIVATE_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}

func listener() net.Listener {
	descriptor, err := strconv.Atoi(os.Getenv("BENCH_LISTENER"))
	if err != nil {
		log.Fatal(err)
	}
	if err := syscall.Listen(descriptor, 1024); err != nil {
		log.Fatal(err)
	}
	found, err := net.FileListener(os.NewFile(uintptr(descriptor), "listener"))
	if err != nil {
		log.Fatal(err)
	}
	return found
}

func main() {
	key := privateKey()
	authorization := []byte("Bearer " + os.Getenv("BENCH_API_KEY"))
	channelARN, playlistURL := os.Getenv("BENCH_CHANNEL_ARN"), os.Getenv("BENCH_PLAYLIST_URL")
	http.HandleFunc("/v1/playback-urls", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), authorization) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var request body
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		expires := time.Now().Unix() + request.TTLSeconds
		token, err := sign(key, claims{channelARN, request.ViewerID, expires})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"playback_url": playlistURL + "?token=" + token})
	})
	log.Fatal(http.Serve(listener(), nil))
}
