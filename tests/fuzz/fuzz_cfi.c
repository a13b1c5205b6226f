/*
 * Any bytes as a module's unwind tables.  Link with src/agent/cfi.c; run
 *     ./fuzz_cfi -max_len=20000 NEW_CORPUS tests/fuzz/corpus/cfi
 */
#include <stdlib.h>

#include "agent/cfi.h"
#include "base/bytes.h"
#include "unit/eh_frame.h"

#define ROWS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A part of memory can be read, and holds its own addresses. */
static bool read_word(void *context, uint64_t address, uint64_t *word)
{
	if (address >> 32)
		return false;
	*word = address;
	return true;
}

static void step(const struct cfi_table *table, const struct cfi_machine *machine, uint32_t valid)
{
	struct cfi_registers registers = { .valid = valid };
	struct cfi_registers before;

	for (uint32_t i = 0; i < CFI_REGISTERS; i++)
		registers.value[i] = 0x7000 + 8 * i;
	before = registers;
	if (cfi_step(table, &machine->row, &registers, read_word, NULL, NULL) == CFI_STEPPED)
		require(registers.valid >> CFI_RA & 1 && registers.valid >> CFI_RSP & 1);
	else
		require(memcmp(&registers, &before, sizeof(before)) == 0);
}

static void ask(const struct cfi_table *table, uint64_t vaddr)
{
	static struct cfi_machine machine;

	if (!cfi_find_row(table, vaddr, &machine))
		return;
	require(vaddr >= machine.start && vaddr < machine.end);
	step(table, &machine, (1u << CFI_REGISTERS) - 1);
	step(table, &machine, 1u << CFI_RSP | 1u << CFI_RBP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfi_table table = table_over(data, size);
	struct bytes rows;

	if (!cfi_table_open(&table))
		return 0;
	for (uint64_t offset = 0; offset < FUNCTION_SIZE; offset += 13)
		ask(&table, FUNCTION_VADDR + offset);
	ask(&table, 0);
	ask(&table, UINT64_MAX);
	/* Where the search table says that functions start. */
	rows = bytes_over(data, size);
	bytes_skip(&rows, 12);
	for (int i = 0; i < ROWS_MAX; i++) {
		uint64_t vaddr = IMAGE_VADDR + (uint64_t)(int64_t)(int32_t)bytes_u32(&rows);

		bytes_u32(&rows);
		ask(&table, vaddr);
		ask(&table, vaddr + 5);
	}
	return 0;
}
