#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_suite.h"
#include "symbol/demangle.h"

static struct text_pool *pool;
static struct demangler *demangler;

static void start(void)
{
	pool = text_pool_new();
	demangler = demangler_new(pool, DEMANGLE_SIMPLE);
}

static void stop(void)
{
	demangler_free(demangler);
	text_pool_free(pool);
}

static const char *readable(const char *linkage_name)
{
	return demangle(demangler, text_pool_add(pool, linkage_name));
}

static const struct {
	const char *linkage_name, *name;
} names[] = {
	/* C, and what only looks mangled */
	{ "malloc", "malloc" },
	{ "_Z", "_Z" },
	{ "_Zebra", "_Zebra" },
	{ "main.(*T).Add", "main.(*T).Add" },
	/* C++: no parameters, no return type, but template arguments */
	{ "_ZN2ns5Codec6encodeEi", "ns::Codec::encode" },
	{ "_ZN2ns5Codec7genericIdEET_S2_", "ns::Codec::generic<double>" },
	{ "_ZN12_GLOBAL__N_16hiddenEi", "(anonymous namespace)::hidden" },
	{ "_ZN5CodecC1Ei", "Codec::Codec" },
	{ "_ZN5CodecD0Ev", "Codec::~Codec" },
	{ "_ZlsRSoRK5Codec", "operator<<" },
	{ "_ZNK3MapIiEixEi", "Map<int>::operator[]" },
	{ "_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()" },
	/* Rust, older and newer mangling: no hash */
	{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
	{ "_RNvCs15kBYyAo9fc_7mycrate7example", "mycrate::example" },
	/* the clones of GCC and Clang, one or several at a time */
	{ "parse.cold", "parse" },
	{ "parse.isra.0", "parse" },
	{ "parse.part.12.cold", "parse" },
	{ "parse.constprop.0.isra.0", "parse" },
	{ "parse.lto_priv.0", "parse" },
	{ "parse.llvm.1234567890", "parse" },
	{ "_ZN2ns6hiddenEi.cold", "ns::hidden" },
	{ "parse.v2", "parse.v2" },
	{ "parse.7", "parse.7" },
	{ ".cold", ".cold" },
	/* stubs */
	{ "memcpy@plt", "memcpy@plt" },
	{ "_ZN5Codec3runEv@plt", "Codec::run@plt" },
	{ "@plt", "@plt" },
};

START_TEST(a_name_is_made_readable)
{
	ck_assert_str_eq(readable(names[_i].linkage_name), names[_i].name);
}
END_TEST

START_TEST(a_name_is_worked_out_once)
{
	ck_assert_ptr_eq(readable("_ZN2ns5Codec6encodeEi"), readable("_ZN2ns5Codec6encodeEi"));
}
END_TEST

/* Each template argument is a pair of the one before: LEVELS of them print 2^LEVELS ints. */
static void write_bomb(char *to, int levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	to += sprintf(to, "_Z1fI1aIiiE");
	for (int i = 0; i < levels; i++) {
		/* S_ is "a", S0_ is "a<int, int>", and so on */
		const char which = digits[i];

		to += sprintf(to, "S_IS%c_S%c_E", which, which);
	}
	sprintf(to, "Evv");
}

START_TEST(a_hostile_name_is_left_as_it_is)
{
	char bomb[1024];
	char *deep = malloc(60001);

	write_bomb(bomb, 3);
	ck_assert_ptr_nonnull(strstr(readable(bomb), "a<int, int>")); /* it does go off */
	write_bomb(bomb, 30);
	ck_assert_str_eq(readable(bomb), bomb);

	memset(deep, 'P', 60000);
	memcpy(deep, "_Z1f", 4);
	deep[60000] = '\0';
	ck_assert_str_eq(readable(deep), deep);
	free(deep);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("demangle");
	TCase *tests = tcase_create("names");

	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_loop_test(tests, a_name_is_made_readable, 0, sizeof(names) / sizeof(names[0]));
	tcase_add_test(tests, a_name_is_worked_out_once);
	tcase_add_test(tests, a_hostile_name_is_left_as_it_is);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
