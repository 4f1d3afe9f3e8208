package main

/*
#cgo pkg-config: gtk+-3.0
#include <gtk/gtk.h>

// g_object_get takes variable arguments, which Go cannot call.
static gboolean catamaran_prefer_dark(GtkSettings *s) {
	gboolean on = FALSE;
	g_object_get(s, "gtk-application-prefer-dark-theme", &on, NULL);
	return on;
}
static gchar *catamaran_theme_name(GtkSettings *s) {
	gchar *name = NULL;
	g_object_get(s, "gtk-theme-name", &name, NULL);
	return name;
}
*/
import "C"

import (
	"os"
	"strings"
)

// systemIsDark asks what the web view asks: GTK's preference, or a theme that is
// named dark. It must be called on the first thread; GTK may be initialised twice.
func systemIsDark() bool {
	if C.gtk_init_check(nil, nil) == 0 {
		return false // no display; the window says so
	}
	settings := C.gtk_settings_get_default()
	if settings == nil {
		return false
	}
	name := os.Getenv("GTK_THEME")
	if name == "" {
		name = themeName(settings)
	}
	return preferDark(settings) || darkName(name)
}

func preferDark(s *C.GtkSettings) bool { return C.catamaran_prefer_dark(s) != 0 }

func themeName(s *C.GtkSettings) string {
	name := C.catamaran_theme_name(s)
	defer C.g_free(C.gpointer(name))
	return C.GoString((*C.char)(name))
}

func darkName(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "-dark") || strings.HasSuffix(name, ":dark")
}
