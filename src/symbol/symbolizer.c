#define _GNU_SOURCE
#include "symbol/symbolizer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/vec.h"
#include "symbol/binary.h"
#include "symbol/demangle.h"
#include "symbol/module.h"
#include "symbol/search.h"
#include "symbol/source.h"
#include "symbol/text_pool.h"
#include "symbol/unit_queue.h"

/* In the order in which they are asked. */
static const struct source *const sources[] = { &source_map, &source_dwarf, &source_go,
	&source_symbol_map, &source_symtab,
	&source_minidebug, &source_dynsym,
	&source_plt, &source_init, &source_fde };

struct symbol_module {
	size_t number; /* of the symbolizer's modules */
	char *path;
	struct build_id build_id; /* what the process ran; size 0: unknown */
	uint64_t content_id; /* of it, when it has no build-ID; 0: unknown */
	char *foreign_id; /* likewise; "" for none */
	struct search found;
	struct source_input input;
	void *states[ARRAY_SIZE(sources)]; /* NULL: that source has nothing */
	size_t answers[ARRAY_SIZE(sources) + 1]; /* of each source, and of none */
	size_t opened; /* so many of them; the others when the first knows too little */
	bool may_be_folded;
	enum symbol_verdict verdict;
	char *reason;
};

struct symbolizer {
	struct symbolizer_options options;
	struct text_pool *texts;
	struct demangler *demangler;
	struct unit_queue *queue; /* of all modules */
	VEC(struct symbol_module *) modules;
	struct table by_identity;
	struct source_frames found; /* of the last question, as the sources gave it */
	VEC(struct symbol_frame) frames; /* and as it was answered */
};

struct symbolizer *symbolizer_new(const struct symbolizer_options *options)
{
	struct symbolizer *s = xcalloc(1, sizeof(*s));

	if (options)
		s->options = *options;
	s->texts = text_pool_new();
	s->queue = unit_queue_new();
	s->demangler = demangler_new(s->texts, s->options.demangle);
	return s;
}

static void module_free(struct symbol_module *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (m->states[i])
			sources[i]->close(m->states[i]);
	search_close(&m->found);
	free(m->reason);
	free(m->foreign_id);
	free(m->path);
	free(m);
}

void symbolizer_free(struct symbolizer *s)
{
	if (!s)
		return;
	unit_queue_free(s->queue); /* the modules' units are in it */
	for (size_t i = 0; i < s->modules.count; i++)
		module_free(s->modules.items[i]);
	VEC_FREE(&s->modules);
	table_free(&s->by_identity);
	VEC_FREE(&s->found.frames);
	VEC_FREE(&s->frames);
	demangler_free(s->demangler);
	text_pool_free(s->texts);
	free(s);
}

/* No file was ever behind such a mapping, or none that has a build. */
static bool is_anonymous(const struct symbol_module *m)
{
	static const char *const prefixes[] = { "[", "//anon", "anon_inode:", "/memfd:", "/SYSV",
		"/dev/zero" };

	if (m->path[0] == '\0')
		return m->build_id.size == 0;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes) && m->build_id.size == 0; i++)
		if (strncmp(m->path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The state of source INDEX, all before which were asked for. */
static void *state_of(struct symbol_module *m, size_t index)
{
	if (index == m->opened) {
		m->states[index] = sources[index]->open(&m->input);
		m->opened++;
	}
	return m->states[index];
}

static void add_files(struct symbol_module *m)
{
	m->input.file_count = 0;
	if (m->found.file)
		m->input.files[m->input.file_count++] = m->found.file;
	if (m->found.debug_file)
		m->input.files[m->input.file_count++] = m->found.debug_file;
}

/* Find the files, and ask the sources up to the first that has anything. */
static void open_sources(const struct symbolizer *s, struct symbol_module *m)
{
	m->input = (struct source_input){ .path = m->path,
		.stores = s->options.stores,
		.build_id = &m->build_id,
		.debug_folders = s->options.debug_folders,
		.texts = s->texts,
		.demangler = s->options.shown_names_only && s->options.demangle != DEMANGLE_NONE
			? s->demangler
			: NULL,
		.queue = s->queue,
		.trail = &m->found.trail };
	search_own_path(&m->found);
	add_files(m);
	if (!state_of(m, 0)) /* the map, which has all */
		search_elsewhere(&m->found);
	add_files(m);
	while (m->opened < ARRAY_SIZE(sources) && !m->states[m->opened - 1])
		state_of(m, m->opened);
}

/* The verdict of the first source that has something, else what became of the file. */
static enum symbol_verdict verdict_of(const struct symbol_module *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (m->states[i])
			return sources[i]->verdict;
	if (m->input.file_count > 0)
		return VERDICT_FDE_ONLY;
	if (is_anonymous(m))
		return VERDICT_ANONYMOUS;
	if (m->found.file_error == -ESTALE)
		return VERDICT_FILE_REPLACED;
	return m->found.file_error == -ENOEXEC ? VERDICT_FILE_BAD : VERDICT_FILE_MISSING;
}

/* Hexadecimal, short enough for a line yet long enough to search for. */
static void short_id(const struct build_id *id, char text[static 16])
{
	char hex[BUILD_ID_HEX_SIZE];

	build_id_to_hex(id, hex);
	if (strlen(hex) > 12)
		strcpy(hex + 12, "...");
	strcpy(text, hex);
}

/* "no debug file for build-ID ab12cd34ef56..." */
static char *no_debug_file(const struct build_id *id)
{
	char text[16];

	if (id->size == 0)
		return xstrdup("no debug file, and no build-ID to look for one");
	short_id(id, text);
	return xasprintf("no debug file for build-ID %s", text);
}

static char *replaced_reason(const struct symbol_module *m, const struct build_id *found)
{
	char ran[16], has[16];

	short_id(&m->build_id, ran);
	short_id(found, has);
	if (found->size == 0)
		return xasprintf("file replaced: it has no build-ID, the process ran %s", ran);
	return xasprintf("file replaced: it has build-ID %s, the process ran %s", has, ran);
}

/* Where the module's own file could not be used: why; else "". */
static char *file_reason(const struct symbol_module *m)
{
	const int file_error = m->found.file_error;

	if (file_error == 0)
		return xstrdup("");
	if (file_error == -ESTALE && m->foreign_id[0])
		return xasprintf("file not known to be build %s, which ran", m->foreign_id);
	if (file_error == -ESTALE && m->build_id.size == 0)
		return xstrdup("file replaced: it has other contents than the process ran");
	if (file_error == -ESTALE)
		return replaced_reason(m, &m->found.id_there);
	if (file_error == -ENOEXEC)
		return xstrdup("not an x86-64 ELF file, or damaged");
	if (file_error == -ENOENT || file_error == -ENOTDIR)
		return xstrdup("file missing");
	return xasprintf("file cannot be opened: %s", strerror(-file_error));
}

static char *reason_of(const struct symbol_module *m)
{
	const struct search *found = &m->found;
	const struct build_id *id = found->file ? binary_build_id(found->file) : &m->build_id;
	char *original = file_reason(m);
	char *file = found->is_elsewhere
		? xasprintf("%s, kept as %s", original, binary_path(found->file))
		: xstrdup(original);
	char *missing = found->debug_file
		? xasprintf("debug file %s", binary_path(found->debug_file))
		: no_debug_file(id);
	const char *comma = file[0] ? ", " : "";
	char *reason;

	switch (m->verdict) {
	case VERDICT_DWARF:
		reason = found->debug_file     ? xasprintf("%s%s%s", file, comma, missing)
			: found->is_elsewhere ? xstrdup(file)
					      : xstrdup("debug info in the file");
		break;
	case VERDICT_MAP:
		reason = xasprintf("%s%ssymbol map", file, comma);
		break;
	case VERDICT_GO:
		reason = xasprintf("%s%sno debug info but Go's own tables", file, comma);
		break;
	case VERDICT_SYMBOLS:
		reason = xasprintf("%s%sno debug info but .symtab, %s", file, comma, missing);
		break;
	case VERDICT_EXPORTS_ONLY:
		reason = xasprintf("%s%sstripped, %s", file, comma, missing);
		break;
	case VERDICT_FDE_ONLY:
		reason = xasprintf("%s%sstripped, nothing exported, %s", file, comma, missing);
		break;
	case VERDICT_ANONYMOUS:
		reason = xstrdup("no file: JIT or hand-mapped code");
		break;
	default:
		reason = xasprintf("%s, %s", file, missing);
		break;
	}
	if (m->content_id) {
		char *whole = xasprintf("%s; no build-ID: known by content hash", reason);

		free(reason);
		reason = whole;
	}
	free(original);
	free(file);
	free(missing);
	return reason;
}

/* Was it linked by a linker that makes one of functions that are alike?  GNU ld does not; the
 * symbols of its libraries, which are many, are not read for this. */
static bool may_be_folded(const struct binary *b)
{
	static const char *const linkers[] = { "LLD", "mold" };
	struct binary_section section;

	if (!b)
		return false;
	if (binary_find_section(b, ".note.gnu.gold-version", &section))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(linkers); i++)
		if (binary_find_section(b, ".comment", &section) &&
			memmem(section.bytes.at, bytes_left(&section.bytes), linkers[i],
				strlen(linkers[i])))
			return true;
	return false;
}

/* A map says itself what is folded. */
static bool has_map(const struct symbol_module *m)
{
	for (size_t i = 0; i < m->opened; i++)
		if (m->states[i] &&
			(sources[i] == &source_map || sources[i] == &source_symbol_map))
			return true;
	return false;
}

struct identity {
	const char *path;
	const struct build_id *build_id;
	uint64_t content_id;
	const char *foreign_id; /* NULL: none */
};

static struct symbol_module *module_new(
	const struct symbolizer *s, const struct identity *identity)
{
	struct symbol_module *m = xcalloc(1, sizeof(*m));

	m->number = s->modules.count;
	m->path = xstrdup(identity->path);
	m->build_id = *identity->build_id;
	m->content_id = identity->content_id;
	m->foreign_id = xstrdup(identity->foreign_id ? identity->foreign_id : "");
	m->found = (struct search){ .options = &s->options,
		.path = m->path,
		.build_id = &m->build_id,
		.content_id = m->content_id,
		.foreign_id = m->foreign_id };
	open_sources(s, m);
	m->may_be_folded = has_map(m) || may_be_folded(m->found.file);
	m->verdict = verdict_of(m);
	m->reason = reason_of(m);
	return m;
}

static bool same_module(const void *context, size_t index, const void *key)
{
	const struct symbolizer *s = context;
	const struct symbol_module *m = s->modules.items[index];
	const struct identity *identity = key;

	return strcmp(m->path, identity->path) == 0 && m->content_id == identity->content_id &&
		strcmp(m->foreign_id, identity->foreign_id ? identity->foreign_id : "") == 0 &&
		m->build_id.size == identity->build_id->size &&
		memcmp(m->build_id.bytes, identity->build_id->bytes, m->build_id.size) == 0;
}

static struct symbol_module *find_module(struct symbolizer *s, const struct identity *identity)
{
	const uint64_t hash =
		hash_add(hash_bytes(identity->path, strlen(identity->path)),
			hash_bytes(identity->build_id->bytes, identity->build_id->size));
	struct symbol_module *m;
	size_t index;

	if (table_find(&s->by_identity, hash, same_module, s, identity, &index))
		return s->modules.items[index];
	m = module_new(s, identity);
	table_insert(&s->by_identity, hash, s->modules.count);
	*VEC_PUSH(&s->modules) = m;
	return m;
}

static const struct build_id unknown = { .size = 0 };

struct symbol_module *symbolizer_module(
	struct symbolizer *s, const char *path, const struct build_id *build_id)
{
	return find_module(s,
		&(struct identity){
			.path = path ? path : "", .build_id = build_id ? build_id : &unknown });
}

struct symbol_module *symbolizer_module_by_content(
	struct symbolizer *s, const char *path, uint64_t content_id)
{
	return find_module(s,
		&(struct identity){
			.path = path, .build_id = &unknown, .content_id = content_id });
}

struct symbol_module *symbolizer_module_by_foreign_id(
	struct symbolizer *s, const char *path, const char *foreign_id)
{
	return find_module(s,
		&(struct identity){
			.path = path, .build_id = &unknown, .foreign_id = foreign_id });
}

bool symbol_module_vaddr(const struct symbol_module *m, uint64_t mapping_offset,
	uint64_t mapping_size, uint64_t offset_in_mapping, uint64_t *vaddr)
{
	const struct binary *b = module_file(m);
	const struct binary_segment *segments = NULL;
	size_t count = 0;

	if (b)
		count = binary_segments(b, &segments);
	for (size_t i = 0; i < m->opened && count == 0; i++)
		if (m->states[i] && sources[i]->segments)
			count = sources[i]->segments(m->states[i], &segments);
	return segments_vaddr_in_mapping(
		segments, count, mapping_offset, mapping_size, offset_in_mapping, vaddr);
}

static bool has_name(const struct source_frame *frame)
{
	return (frame->name && frame->name[0]) ||
		(frame->linkage_name && frame->linkage_name[0]);
}

/* A name was missing, which FROM, of another source, may have: the line stays. */
static void take_name(struct source_frame *frame, const struct source_frame *from)
{
	frame->name = from->name;
	frame->linkage_name = from->linkage_name;
}

/* Ask the sources until every frame has a name; BY_DWARF: as module_ask() has it.  False: nobody
 * knows one. */
static bool ask_sources(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr,
	const struct source_frame *by_dwarf, bool *resolved)
{
	/* known, but nameless as yet */
	struct source_frame line = by_dwarf ? *by_dwarf : (struct source_frame){ .name = NULL };
	bool has_line = line.file || line.line;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct source_frame *outermost;

		s->found.frames.count = 0;
		if (by_dwarf && sources[i] == &source_dwarf)
			continue;
		if (!state_of(m, i) || !sources[i]->resolve(m->states[i], vaddr, &s->found) ||
			s->found.frames.count == 0)
			continue;
		outermost = &s->found.frames.items[s->found.frames.count - 1];
		if (!has_name(outermost)) {
			line = *outermost;
			has_line = true;
			continue;
		}
		if (has_line && s->found.frames.count == 1 && !outermost->file) {
			take_name(&line, outermost);
			*outermost = line;
		}
		*resolved = sources[i]->resolves;
		m->answers[i]++;
		return true;
	}
	m->answers[ARRAY_SIZE(sources)]++;
	s->found.frames.count = 0;
	if (has_line)
		*VEC_PUSH(&s->found.frames) = line;
	return false;
}

bool module_is_folded(struct symbol_module *m, uint64_t vaddr)
{
	for (size_t i = 0; m->may_be_folded && i < ARRAY_SIZE(sources); i++)
		if (state_of(m, i) && sources[i]->is_folded)
			return sources[i]->is_folded(m->states[i], vaddr);
	return false;
}

static const char *address_name(
	struct symbolizer *s, const struct symbol_module *m, uint64_t vaddr)
{
	const char *slash = strrchr(m->path, '/');
	const char *file_name = slash ? slash + 1 : m->path;
	char *name = xasprintf("%s!0x%llx", file_name[0] ? file_name : "[anonymous]",
		(unsigned long long)vaddr);
	const char *kept = text_pool_add(s->texts, name);

	free(name);
	return kept;
}

static struct symbol_frame answer(struct symbolizer *s, const struct source_frame *found)
{
	const char *system_name = found->linkage_name && found->linkage_name[0]
		? found->linkage_name
		: found->name;
	const bool has_own = found->name && found->name[0] && s->options.demangle != DEMANGLE_NONE;
	const char *name = has_own ? found->name : demangle(s->demangler, system_name);

	return (struct symbol_frame){ .name = name,
		.system_name = system_name,
		.file = found->file ? found->file : "",
		.line = found->line,
		.column = found->column,
		.start_line = found->start_line };
}

bool module_ask(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr,
	const struct source_frame *by_dwarf, const struct source_frames **found)
{
	bool resolved = false;

	if (!ask_sources(s, m, vaddr, by_dwarf, &resolved) || !resolved)
		s->found.frames.count = s->found.frames.count == 1 &&
			!has_name(&s->found.frames.items[0]);
	*found = &s->found;
	return s->found.frames.count > 0;
}

void module_visit_boundaries(
	struct symbol_module *m, source_boundary_visitor *visit, void *context)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (state_of(m, i) && sources[i]->visit_boundaries)
			sources[i]->visit_boundaries(m->states[i], visit, context);
}

void *module_state(struct symbol_module *m, const struct source *source)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (state_of(m, i) && sources[i] == source)
			return m->states[i];
	return NULL;
}

const struct binary *module_file(const struct symbol_module *m)
{
	return m->found.file ? m->found.file : m->found.debug_file;
}

void symbolizer_resolve(struct symbolizer *s, struct symbol_module *m, uint64_t vaddr,
	struct symbol_frames *out)
{
	bool resolved = false;

	if (!ask_sources(s, m, vaddr, NULL, &resolved) && s->found.frames.count == 0)
		VEC_PUSH(&s->found.frames);
	s->frames.count = 0;
	for (size_t i = 0; i < s->found.frames.count; i++) {
		struct source_frame *found = &s->found.frames.items[i];

		if (!has_name(found))
			found->name = address_name(s, m, vaddr);
		*VEC_PUSH(&s->frames) = answer(s, found);
	}
	*out = (struct symbol_frames){ .frames = s->frames.items,
		.count = s->frames.count,
		.resolved = resolved,
		.is_folded = resolved && module_is_folded(m, vaddr) };
}

/* The source that takes addresses in batches; NULL: none does, as far as is known. */
static const struct source *batching_source(const struct symbol_module *m, void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (m->states[i] && sources[i]->batch) {
			*state = m->states[i];
			return sources[i];
		}
	return NULL;
}

static uint64_t batch_of(const struct symbol_question *q)
{
	void *state;
	const struct source *source = batching_source(q->module, &state);

	return source ? source->batch(state, q->vaddr) : 0;
}

static int by_batch(const void *left, const void *right)
{
	const struct symbol_question *a = left, *b = right;

	if (a->module != b->module)
		return a->module->number < b->module->number ? -1 : 1;
	if (a->batch != b->batch)
		return a->batch < b->batch ? -1 : 1;
	if (a->vaddr != b->vaddr)
		return a->vaddr < b->vaddr ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* The questions of one batch, which QUESTIONS begins with: how many. */
static size_t expect_batch(const struct symbol_question *questions, size_t count)
{
	const struct symbol_module *m = questions[0].module;
	const uint64_t batch = questions[0].batch;
	uint64_t *vaddrs;
	size_t size = 1;
	void *state;
	const struct source *source = batching_source(m, &state);

	while (size < count && questions[size].module == m && questions[size].batch == batch)
		size++;
	if (!source)
		return size;
	vaddrs = xreallocarray(NULL, size, sizeof(*vaddrs));
	for (size_t i = 0; i < size; i++)
		vaddrs[i] = questions[i].vaddr;
	source->expect(state, batch, vaddrs, size);
	free(vaddrs);
	return size;
}

#define THREAD_BYTES (4u << 20)

void symbolizer_plan(struct symbolizer *s, struct symbol_question *questions, size_t count)
{
	unit_queue_clear(s->queue);
	for (size_t i = 0; i < count; i++)
		questions[i].batch = batch_of(&questions[i]);
	if (count > 0)
		qsort(questions, count, sizeof(*questions), by_batch);
	for (size_t i = 0; i < count;)
		i += expect_batch(&questions[i], count - i);
	unit_queue_start(s->queue,
		s->options.thread_bytes ? s->options.thread_bytes : THREAD_BYTES);
}

enum symbol_verdict symbol_module_verdict(const struct symbol_module *m)
{
	return m->verdict;
}

bool symbol_verdict_has_lines(enum symbol_verdict verdict)
{
	return verdict == VERDICT_MAP || verdict == VERDICT_DWARF || verdict == VERDICT_GO;
}

const char *symbol_verdict_word(enum symbol_verdict verdict)
{
	static const char *const words[] = {
		[VERDICT_MAP] = "map",
		[VERDICT_DWARF] = "dwarf",
		[VERDICT_GO] = "go",
		[VERDICT_SYMBOLS] = "symbols",
		[VERDICT_EXPORTS_ONLY] = "exports-only",
		[VERDICT_FDE_ONLY] = "fde-only",
		[VERDICT_FILE_MISSING] = "file-missing",
		[VERDICT_FILE_REPLACED] = "file-replaced",
		[VERDICT_FILE_BAD] = "file-bad",
		[VERDICT_ANONYMOUS] = "anonymous",
	};

	return words[verdict];
}

const char *symbol_module_reason(const struct symbol_module *m)
{
	return m->reason;
}

const char *symbol_module_path(const struct symbol_module *m)
{
	return m->path;
}

const struct build_id *symbol_module_build_id(const struct symbol_module *m)
{
	return m->build_id.size == 0 && m->found.file ? binary_build_id(m->found.file)
						      : &m->build_id;
}

size_t symbol_module_steps(const struct symbol_module *m, const struct symbol_step **steps)
{
	*steps = m->found.trail.steps.items;
	return m->found.trail.steps.count;
}

void symbol_module_note(struct symbol_module *m, enum symbol_place place, const char *path,
	const char *outcome)
{
	trail_note(&m->found.trail, place, path, "%s", outcome);
}

size_t symbol_module_answers(
	const struct symbol_module *m, struct symbol_answer answers[static SYMBOL_ANSWERS_MAX])
{
	size_t count = 0;

	static_assert(ARRAY_SIZE(sources) < SYMBOL_ANSWERS_MAX, "too many sources");
	for (size_t i = 0; i <= ARRAY_SIZE(sources); i++)
		if (m->answers[i])
			answers[count++] = (struct symbol_answer){
				i < ARRAY_SIZE(sources) ? sources[i]->name : "nothing",
				m->answers[i] };
	return count;
}
