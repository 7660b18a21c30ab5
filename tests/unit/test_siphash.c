/* The keyed hash against results of another implementation (CPython's hash() of bytes, which is SipHash-1-3
 * with a key made of PYTHONHASHSEED: 0 gives the key of zeros, 77 the other one). */
#include <string.h>

#include "common/siphash.h"
#include "tests/unit/unit.h"

static const struct siphash_key zeros = {0, 0};
static const struct siphash_key other = {UINT64_C(0xa5d82b05502b1222), UINT64_C(0x2a36ec6c04605b32)};

static const struct {
	const char *text;
	uint64_t zeros, other;
} known[] = {
    {"a", UINT64_C(0x407448d2b89b1813), UINT64_C(0xbbefde99bac29898)},
    {"abcdefg", UINT64_C(0x6db12aae9070f506), UINT64_C(0x47960736bca8836d)},
    {"abcdefgh", UINT64_C(0x3f7b849c0b8e35ea), UINT64_C(0xc983343c09f09ff3)},
    {"node1.example.net", UINT64_C(0x887e1cbd1359215f), UINT64_C(0x6d594a5939241eea)},
};

START_TEST(known_results)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		ck_assert(siphash_1_3(&zeros, known[i].text, strlen(known[i].text)) == known[i].zeros);
		ck_assert(siphash_1_3(&other, known[i].text, strlen(known[i].text)) == known[i].other);
	}
}
END_TEST

START_TEST(all_bytes)
{
	unsigned char data[256];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)i;
	ck_assert(siphash_1_3(&zeros, data, 255) == UINT64_C(0x5dc1f93ea135eb43));
	ck_assert(siphash_1_3(&other, data, 255) == UINT64_C(0xadd6e7d769a9c503));
	/* At any address. */
	memmove(data + 1, data, 255);
	ck_assert(siphash_1_3(&zeros, data + 1, 255) == UINT64_C(0x5dc1f93ea135eb43));
}
END_TEST

START_TEST(keys_differ)
{
	struct siphash_key a = siphash_key(1), b = siphash_key(2);

	ck_assert(a.k0 != b.k0);
	ck_assert(a.k1 != b.k1);
	ck_assert(siphash_1_3(&a, "x", 1) != siphash_1_3(&b, "x", 1));
	ck_assert(siphash_1_3(&a, "x", 1) != siphash_1_3(&a, "x\0", 2));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("siphash");
	TCase *tc = tcase_create("siphash");

	tcase_add_test(tc, known_results);
	tcase_add_test(tc, all_bytes);
	tcase_add_test(tc, keys_differ);
	suite_add_tcase(s, tc);
	return s;
}
