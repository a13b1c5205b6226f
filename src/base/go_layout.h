/*
 * Where Go's runtime keeps the labels of a goroutine (runtime/pprof.Do, SetGoroutineLabels), on
 * amd64, by version.  Source: the DWARF of programs that each version has built (runtime.g,
 * runtime.m), and runtime/pprof/label.go.  Pure; signal-safe.
 */
#ifndef BASE_GO_LAYOUT_H
#define BASE_GO_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum go_label_form {
	GO_LABELS_MAP, /* map[string]string, of the kind with buckets */
	GO_LABELS_LIST, /* struct { list []struct { key, value string } } */
};

struct go_layout { /* offsets in bytes */
	uint16_t minor; /* Go 1.MINOR */
	uint16_t g_labels; /* in runtime.g: pointer to the labels, or nil */
	uint16_t m_procid, m_curg; /* in runtime.m: the thread's number; the user's goroutine */
	enum go_label_form form;
};

#define GO_LAYOUT_G_M 48 /* offset in runtime.g, of all versions here: its runtime.m */

/* Of a release or a release candidate: VERSION is SIZE bytes like "go1.26.8".  NULL: not known. */
const struct go_layout *go_layout_find(const char *version, size_t size);

/* "1.18 to 1.26". */
#define GO_LAYOUT_KNOWN "1.18 to 1.26"

#endif
