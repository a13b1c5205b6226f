#include "symbol/inspection.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "symbol/binary.h"

/* 0: the file is an ELF file, of whatever kind. */
static int identify(const char *path, struct elf_identity *identity, const char **kind)
{
	struct file_bytes file;
	struct bytes image;
	int r = file_map(path, &file);

	if (r < 0)
		return r;
	image = bytes_over(file.data, file.size);
	if (!elf_identify(image, identity)) {
		*kind = elf_foreign_kind(image);
		r = -ENOEXEC;
	}
	file_unmap(&file);
	return r;
}

static void read_verdict(struct inspection *in, const struct symbolizer_options *options)
{
	struct symbolizer *s = symbolizer_new(options);
	struct symbol_module *m = symbolizer_module(s, in->path, &in->build_id);

	in->verdict = symbol_module_verdict(m);
	in->reason = xstrdup(symbol_module_reason(m));
	symbolizer_free(s);
}

static void read_facts(struct inspection *in, const struct symbolizer_options *options)
{
	in->build_id = *binary_build_id(in->binary);
	dynamic_read(in->binary, &in->dynamic);
	debug_facts_read(in->binary, options ? options->debug_folders : NULL, &in->debug);
	go_build_info_read(in->binary, &in->go);
	read_verdict(in, options);
}

int inspection_open(const char *path, const struct symbolizer_options *options,
	struct inspection **ret, const char **kind)
{
	struct elf_identity identity;
	struct inspection *in;
	const int r = identify(path, &identity, kind);

	if (r < 0)
		return r;
	in = xcalloc(1, sizeof(*in));
	in->path = xstrdup(path);
	in->identity = identity;
	if (identity.readable && identity.kind == ELF_KIND_LOADABLE &&
		binary_open(path, &in->binary) == 0)
		read_facts(in, options);
	*ret = in;
	return 0;
}

void inspection_free(struct inspection *in)
{
	if (!in)
		return;
	go_build_info_free(&in->go);
	debug_facts_free(&in->debug);
	dynamic_free(&in->dynamic);
	binary_close(in->binary);
	free(in->reason);
	free(in->path);
	free(in);
}

bool inspection_build_id(const char *path, struct build_id *id)
{
	struct binary *b = NULL;

	if (binary_open(path, &b) < 0)
		return false;
	*id = *binary_build_id(b);
	binary_close(b);
	return id->size > 0;
}

bool inspection_has_symbol(const struct inspection *in, const char *name)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Sym symbol;

	while (in->binary && (section = elf_nextscn(binary_elf(in->binary), section)) != NULL) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
			const char *its_name = elf_strptr(
				binary_elf(in->binary), header.sh_link, symbol.st_name);

			if (its_name && symbol.st_shndx != SHN_UNDEF &&
				strcmp(its_name, name) == 0)
				return true;
		}
	}
	return false;
}
