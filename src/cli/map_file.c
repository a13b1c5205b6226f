#include "cli/map_file.h"

#include <errno.h>

#include "cli/message.h"

void map_file_close(struct map_file *f)
{
	map_reader_free(f->map);
	file_unmap(&f->bytes);
}

int map_file_open(const char *path, struct map_file *f)
{
	int r;

	*f = (struct map_file){ .map = NULL };
	r = file_map(path, &f->bytes);
	if (r) {
		message_errno(r, "cannot read %s", path);
		return r;
	}
	r = map_reader_open(f->bytes.data, f->bytes.size, &f->map);
	if (r == -ENOEXEC)
		message("%s is no symbol map", path);
	else if (r == -EPROTO)
		message("%s is a symbol map of another version: make it again", path);
	else if (r)
		message("%s is damaged or cut short: make it again", path);
	if (r)
		map_file_close(f);
	return r;
}
