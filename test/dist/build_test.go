//go:build dist

package dist

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildTime bounds a whole second build, with a cold cache on a busy machine.
const buildTime = 40 * time.Minute

// The same commit gives the same bytes in a clone at another path. The compiler's
// cache is shared unless CATAMARAN_DIST_COLD is set: without it the linking, the
// page and the packaging are shown to be the same, with it the compiling too.
func TestSameBytesElsewhere(t *testing.T) {
	if out := run(t, "git", "-C", root, "status", "--porcelain"); out != "" {
		t.Skipf("there are changes that are not committed, which a clone has not:\n%s", out)
	}
	dir := filepath.Join(t.TempDir(), "another place", "src")
	run(t, "git", "clone", "-q", root, dir)
	// The page's tools come from the registry in this version; the copy saves the network.
	run(t, "cp", "-a", filepath.Join(root, "web", "node_modules"), filepath.Join(dir, "web", "node_modules"))
	run(t, "touch", filepath.Join(dir, "web", "node_modules", ".package-lock.json"))
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "dist", "DIST_VERSION="+version)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	if os.Getenv("CATAMARAN_DIST_COLD") != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(t.TempDir(), "cache"))
	}
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out[max(0, len(out)-4000):])
	}
	here, err := os.ReadDir(packages)
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadDir(filepath.Join(dir, "dist"))
	if err != nil || len(there) != len(here) {
		t.Errorf("%d files, want %d; %v", len(there), len(here), err)
	}
	for _, e := range here {
		a, b := read(t, filepath.Join(packages, e.Name())), read(t, filepath.Join(dir, "dist", e.Name()))
		if bytes.Equal(a, b) {
			continue
		}
		at := 0
		for at < min(len(a), len(b)) && a[at] == b[at] {
			at++
		}
		t.Errorf("%s: %d and %d bytes, different from byte %d on:\n%q\n%q", e.Name(), len(a), len(b), at, a[max(0, at-32):min(len(a), at+64)], b[max(0, at-32):min(len(b), at+64)])
	}
	if t.Failed() && os.Getenv("CATAMARAN_DIST_KEEP") != "" {
		run(t, "cp", "-a", filepath.Join(dir, "dist"), os.Getenv("CATAMARAN_DIST_KEEP"))
	}
}

// signer is a key of this run's own that may sign programs.
func signer(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Throw-away signer of a test"},
		// What is signed carries the commit's time.
		NotBefore: at.AddDate(-10, 0, 0), NotAfter: at.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err == nil {
		err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err == nil {
		err = os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// makeWith makes some packages of what is in bin/, or in another folder, by tools/dist.
func makeWith(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./tools/dist"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tools/dist %q: %v\n%s", args, err, out)
	}
}

// runs tells a program of Windows by its name.
func runs(name string) bool {
	return strings.HasSuffix(name, ".exe") || strings.HasSuffix(name, ".com")
}

// With a key the installers and the programs in them are signed, and a changed file is found out.
func TestSigned(t *testing.T) {
	t.Parallel()
	cert, key := signer(t)
	out := t.TempDir()
	makeWith(t, []string{"CATAMARAN_SIGN_CERT=" + cert, "CATAMARAN_SIGN_KEY=" + key}, "-version", version, "-only", "zip,nsis,msi", "-out", out)
	verify := func(file string) error {
		said, err := exec.CommandContext(t.Context(), "osslsigncode", "verify", "-CAfile", cert, "-in", file).CombinedOutput()
		if err == nil && !strings.Contains(string(said), "Signature verification: ok") {
			t.Errorf("%s: %s", file, said)
		}
		return err
	}
	signed := []string{}
	for _, suffix := range []string{"windows-amd64-setup.exe", "windows-arm64-setup.exe", "windows-amd64.msi"} {
		signed = append(signed, filepath.Join(out, "catamaran-"+version+"-"+suffix))
	}
	exes := 0
	for _, arch := range []string{"amd64", "arm64"} {
		dir := t.TempDir()
		for name, f := range unpack(t, filepath.Join(out, "catamaran-"+version+"-windows-"+arch+"-portable.zip")) {
			if runs(name) {
				exes++
				p := filepath.Join(dir, name)
				if err := os.WriteFile(p, f.body, 0o600); err != nil {
					t.Fatal(err)
				}
				signed = append(signed, p)
			}
		}
	}
	inside := t.TempDir()
	run(t, "msiextract", "-C", inside, filepath.Join(out, "catamaran-"+version+"-windows-amd64.msi"))
	_ = filepath.WalkDir(inside, func(p string, e os.DirEntry, err error) error {
		if err == nil && runs(p) {
			exes++
			signed = append(signed, p)
		}
		return err
	})
	if exes != 12 {
		t.Errorf("%d programs in the archives and the MSI, want 12", exes)
	}
	for _, p := range signed {
		if err := verify(p); err != nil {
			t.Errorf("%s is not signed well: %v", filepath.Base(p), err)
		}
	}
	bad := read(t, signed[0])
	bad[len(bad)/2] ^= 1
	broken := filepath.Join(t.TempDir(), "broken.exe")
	if err := os.WriteFile(broken, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if verify(broken) == nil {
		t.Error("a changed installer passes for signed")
	}
}
