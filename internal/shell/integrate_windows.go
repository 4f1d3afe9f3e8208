package shell

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows/registry"
)

// key is one registry key below HKEY_CURRENT_USER with its values; "" is the default one.
type key struct {
	path   string
	values map[string]string
}

// runKey holds what starts at log-in, one value for each program.
const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

// classes below HKEY_CURRENT_USER go before the machine's.
const classes = `Software\Classes\`

// keys are what an integration consists of; the first of a branch is its root, which is removed whole.
func keys(i Integration, exe string) (roots []string, all []key) {
	quoted := `"` + exe + `"`
	switch i {
	case IntegrateLinks:
		root := classes + Scheme
		return []string{root}, []key{
			{root, map[string]string{"": "URL:Catamaran", "URL Protocol": ""}},
			{root + `\DefaultIcon`, map[string]string{"": exe + ",0"}},
			// What stands for %1 cannot be taken for a flag.
			{root + `\shell\open\command`, map[string]string{"": quoted + ` link -- "%1"`}},
		}
	case IntegrateMenu:
		for _, what := range []string{"Directory", `Directory\Background`, "Drive"} {
			root := classes + what + `\shell\Catamaran`
			roots = append(roots, root)
			all = append(all,
				key{root, map[string]string{"": "Open in Catamaran", "Icon": exe + ",0"}},
				key{root + `\command`, map[string]string{"": quoted + ` run --open="%V"`}},
			)
		}
		return roots, all
	}
	return nil, nil
}

// Integrated reports whether the system knows exe in this way; another program in its place is none.
func Integrated(i Integration, exe string) (bool, error) {
	if i == IntegrateLogin {
		v, err := value(runKey, "Catamaran")
		return v == loginCommand(exe), err
	}
	_, all := keys(i, exe)
	for _, k := range all {
		for name, want := range k.values {
			v, err := value(k.path, name)
			if err != nil {
				return false, err
			}
			if v != want {
				return false, nil
			}
		}
	}
	return true, nil
}

func loginCommand(exe string) string { return `"` + exe + `" run --background` }

// value is "" where there is none.
func value(path, name string) (string, error) {
	k, err := registry.OpenKey(registry.CURRENT_USER, path, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open %s: %w", path, err)
	}
	defer k.Close()
	v, _, err := k.GetStringValue(name)
	if err != nil && !errors.Is(err, registry.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// Integrate makes the system know exe in this way.
func Integrate(i Integration, exe string) error {
	_, all := keys(i, exe)
	if i == IntegrateLogin {
		all = []key{{runKey, map[string]string{"Catamaran": loginCommand(exe)}}}
	}
	for _, k := range all {
		if err := write(k); err != nil {
			return fmt.Errorf("write %s: %w", k.path, err)
		}
	}
	return nil
}

func write(k key) error {
	h, _, err := registry.CreateKey(registry.CURRENT_USER, k.path, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer h.Close()
	for name, v := range k.values {
		if err := h.SetStringValue(name, v); err != nil {
			return err
		}
	}
	return nil
}

// Disintegrate takes back what Integrate wrote, and leaves alone what is another program's.
func Disintegrate(i Integration, exe string) error {
	if i == IntegrateLogin {
		on, err := Integrated(i, exe)
		if err != nil || !on {
			return err
		}
		k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
		if err != nil {
			return fmt.Errorf("open %s: %w", runKey, err)
		}
		defer k.Close()
		return k.DeleteValue("Catamaran")
	}
	roots, all := keys(i, exe)
	for _, k := range all { // the command is what makes it ours
		if want, ok := k.values[""]; ok && len(want) > 0 && want[0] == '"' {
			v, err := value(k.path, "")
			if err != nil {
				return err
			}
			if v != "" && v != want {
				return nil
			}
		}
	}
	for _, root := range roots {
		if err := deleteTree(root); err != nil {
			return fmt.Errorf("remove %s: %w", root, err)
		}
	}
	return nil
}

func deleteTree(path string) error {
	k, err := registry.OpenKey(registry.CURRENT_USER, path, registry.ENUMERATE_SUB_KEYS)
	if errors.Is(err, registry.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := k.ReadSubKeyNames(-1)
	k.Close()
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := deleteTree(path + `\` + n); err != nil {
			return err
		}
	}
	return registry.DeleteKey(registry.CURRENT_USER, path)
}
