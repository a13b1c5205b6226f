#include "agent/module_life.h"

#include "base/monotonic.h"

static struct spool_module *record_of(struct spool_writer *spool, const struct module *m)
{
	return (struct spool_module *)(spool->journal + m->record_offset);
}

static struct spool_life *life_of(struct spool_writer *spool, const struct module *m)
{
	return m->has_life ? (struct spool_life *)(spool->journal + m->life_offset) : NULL;
}

void module_life_begin(struct spool_writer *spool, struct module *m)
{
	const struct spool_life life = {
		.module_id = m->id,
		.references = SPOOL_UNKNOWN,
		.descriptors_before = SPOOL_UNKNOWN,
		.descriptors_after = SPOOL_UNKNOWN,
		.content_id = m->content,
	};
	struct spool_life *written;

	if (!(m->flags & SPOOL_MODULE_DLOPENED) && m->build_id.size)
		return;
	written = spool_append_life(spool, &life);
	m->has_life = written != NULL;
	if (written)
		m->life_offset = (uint64_t)((char *)written - spool->journal);
}

static struct spool_generation *slot_for(struct spool_life *life, uint32_t number)
{
	return &life->generations[number % SPOOL_GENERATIONS_MAX];
}

/* A reader that comes in between sees no entry. */
static void begin_generation(
	struct spool_generation *g, uint32_t number, uint64_t now_ns, uint64_t bias)
{
	__atomic_store_n(&g->number, 0, __ATOMIC_SEQ_CST);
	g->load_ns = now_ns;
	g->unload_ns = 0;
	g->bias = bias;
	__atomic_store_n(&g->number, number, __ATOMIC_RELEASE);
}

static uint64_t latest_load_ns;

uint64_t module_life_latest_load_ns(void)
{
	return __atomic_load_n(&latest_load_ns, __ATOMIC_RELAXED);
}

void module_life_loaded(
	struct spool_writer *spool, struct module_instance *instance, uint32_t number)
{
	struct spool_module *record = record_of(spool, instance->module);
	struct spool_life *life = life_of(spool, instance->module);
	const uint64_t now_ns = monotonic_ns();

	instance->generation = number;
	instance->module->generation = number;
	__atomic_store_n(&record->last_load_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&latest_load_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&record->loads, 1, __ATOMIC_RELAXED);
	if (life)
		begin_generation(slot_for(life, number), number, now_ns, instance->bias);
}

void module_life_unloaded(struct spool_writer *spool, const struct module_instance *instance)
{
	struct spool_module *record;
	struct spool_generation *generation;
	struct spool_life *life;
	const uint64_t now_ns = monotonic_ns();

	if (!spool->header)
		return;
	record = record_of(spool, instance->module);
	life = life_of(spool, instance->module);
	__atomic_store_n(&record->last_unload_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&record->unloads, 1, __ATOMIC_RELAXED);
	if (!life)
		return;
	generation = slot_for(life, instance->generation);
	if (generation->number == instance->generation)
		__atomic_store_n(&generation->unload_ns, now_ns, __ATOMIC_RELEASE);
}
