package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// signer signs Windows files with osslsigncode; nil signs nothing.
type signer struct {
	args []string
}

func newSigner(at time.Time) (*signer, error) {
	cert, key := os.Getenv("CATAMARAN_SIGN_CERT"), os.Getenv("CATAMARAN_SIGN_KEY")
	if cert == "" && key == "" {
		return nil, nil
	}
	for _, f := range []string{cert, key} {
		if _, err := os.Stat(f); err != nil {
			return nil, fmt.Errorf("CATAMARAN_SIGN_CERT and CATAMARAN_SIGN_KEY name two PEM files: %w", err)
		}
	}
	if !have("osslsigncode") {
		return nil, fmt.Errorf("osslsigncode is missing; make dist installs it")
	}
	s := &signer{args: []string{"sign", "-certs", cert, "-key", key, "-h", "sha256", "-n", "Catamaran"}}
	if ts := os.Getenv("CATAMARAN_SIGN_TIMESTAMP"); ts != "" {
		s.args = append(s.args, "-ts", ts)
	} else {
		s.args = append(s.args, "-time", strconv.FormatInt(at.Unix(), 10))
	}
	return s, nil
}

// file signs a file in place.
func (s *signer) file(path string) error {
	if s == nil {
		return nil
	}
	out, err := exec.Command("osslsigncode", append(s.args, "-in", path, "-out", path+".signed")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("sign %s: %w\n%s", filepath.Base(path), err, out)
	}
	return os.Rename(path+".signed", path)
}

// script is a program that signs its argument in place, for the installer's
// maker, which also signs the uninstaller inside; "" signs nothing.
func (s *signer) script(dir string) string {
	if s == nil {
		return ""
	}
	var b bytes.Buffer
	b.WriteString("#!/bin/sh\nset -e\nosslsigncode")
	for _, a := range s.args {
		fmt.Fprintf(&b, " '%s'", a)
	}
	b.WriteString(` -in "$1" -out "$1.signed"` + "\nmv \"$1.signed\" \"$1\"\n")
	path := filepath.Join(dir, "sign.sh")
	if err := os.WriteFile(path, b.Bytes(), 0o700); err != nil {
		return ""
	}
	return path
}

// writeIcon puts PNG pictures into one Windows icon, each as it is (Windows reads PNG entries since Vista).
func writeIcon(to string, pictures []string) error {
	var head, body bytes.Buffer
	le := binary.LittleEndian
	_ = binary.Write(&head, le, []uint16{0, 1, uint16(len(pictures))})
	offset := 6 + 16*len(pictures)
	for _, p := range pictures {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		c, err := png.DecodeConfig(bytes.NewReader(b))
		if err != nil {
			return err
		}
		head.Write([]byte{byte(c.Width), byte(c.Height), 0, 0}) // 256 is written as 0
		_ = binary.Write(&head, le, []uint16{1, 32})
		_ = binary.Write(&head, le, []uint32{uint32(len(b)), uint32(offset + body.Len())})
		body.Write(b)
	}
	return os.WriteFile(to, append(head.Bytes(), body.Bytes()...), 0o644)
}
