/*
 * Golden configurations: for each NAME.conf of tests/config, what `check --print` shows is NAME.out, or what
 * is wrong with it NAME.err. Files whose names begin with "part" are for others to include.
 *
 * With SR_GOLDEN_UPDATE in the environment the expected files are written anew; look at the difference then.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define NAMES_MAX 200

static char *names[NAMES_MAX];
static int name_count;

static int
is_case(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0 &&
	       strncmp(entry->d_name, "part", 4) != 0;
}

static void
find_cases(void)
{
	struct dirent **entries;
	int count = scandir(SR_TEST_CONFIG_DIR, &entries, is_case, alphasort);

	for (int i = 0; i < count && i < NAMES_MAX; i++) {
		names[name_count++] = xstrndup(entries[i]->d_name, strlen(entries[i]->d_name) - 5);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void
read_whole(const char *path, struct strbuf *out)
{
	char chunk[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		strbuf_add(out, chunk, n);
	fclose(f);
}

static void
write_whole(const char *path, const struct strbuf *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fwrite(text->data, 1, text->len, f);
	fclose(f);
}

static void
compare(const char *name, const char *suffix, const struct strbuf *got)
{
	char path[512];
	struct strbuf want;

	snprintf(path, sizeof path, "%s.%s", name, suffix);
	if (getenv("SR_GOLDEN_UPDATE") != NULL)
		write_whole(path, got);
	strbuf_init(&want);
	read_whole(path, &want);
	ck_assert_msg(strbuf_equal(&want, got), "%s is\n%s\n--- but should be\n%s", path, got->data,
		      want.data);
	strbuf_fini(&want);
}

static struct conf *
reparse(const char *name, const struct strbuf *text)
{
	struct conf_errors errors;
	struct conf *c = conf_load_text(text->data, text->len, &errors);

	ck_assert_msg(c != NULL, "%s: what was printed is refused: %s", name,
		      errors.count > 0 ? errors.text[0] : "without a reason");
	conf_errors_fini(&errors);
	return c;
}

/* What is printed parses, and prints the same again. */
static void
ck_round_trip(const char *name, const struct conf *c, const struct conf_topic *t, enum conf_print_mode mode)
{
	struct strbuf first, second;
	struct conf *again;

	strbuf_init(&first);
	strbuf_init(&second);
	conf_print(c, t, mode, &first);
	again = reparse(name, &first);
	conf_print(again, t == NULL ? NULL : &again->topics[0], mode, &second);
	ck_assert_str_eq(second.data, first.data);
	if (t != NULL) {
		ck_assert(conf_topic_equal(c, t, again, &again->topics[0]));
		ck_assert_uint_eq(conf_map_hash(c, t), conf_map_hash(again, &again->topics[0]));
	}
	conf_free(&again);
	strbuf_fini(&first);
	strbuf_fini(&second);
}

static void
ck_good(const char *name, const struct conf *c)
{
	struct strbuf out;

	strbuf_init(&out);
	conf_print(c, NULL, CONF_PRINT_MASKED, &out);
	compare(name, "out", &out);
	strbuf_fini(&out);
	ck_round_trip(name, c, NULL, CONF_PRINT_MASKED);
	ck_round_trip(name, c, NULL, CONF_PRINT_SECRET);
	for (size_t i = 0; i < c->topic_count; i++)
		ck_round_trip(name, c, &c->topics[i], CONF_PRINT_SECRET);
}

START_TEST(golden)
{
	const char *name = names[_i];
	struct conf_errors errors;
	struct strbuf text;
	struct conf *c;
	char path[512];

	ck_assert_int_eq(chdir(SR_TEST_CONFIG_DIR), 0);
	setenv("SR_TEST_SITE", "US-EAST", 1);
	setenv("SR_TEST_ODD", "a\"b\\c${SR_TEST_SITE}#d", 1);
	unsetenv("SR_TEST_UNSET");
	snprintf(path, sizeof path, "%s.conf", name);
	c = conf_load(path, &errors);
	ck_assert((c == NULL) == (errors.count > 0));
	strbuf_init(&text);
	for (size_t i = 0; i < errors.count; i++)
		strbuf_addf(&text, "%s\n", errors.text[i]);
	if (c == NULL)
		compare(name, "err", &text);
	else
		ck_good(name, c);
	conf_free(&c);
	conf_errors_fini(&errors);
	strbuf_fini(&text);
}
END_TEST

START_TEST(there_are_cases)
{
	ck_assert_int_gt(name_count, 20);
	ck_assert_int_lt(name_count, NAMES_MAX);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("conf_golden");
	TCase *tc = tcase_create("all");

	find_cases();
	tcase_add_test(tc, there_are_cases);
	tcase_add_loop_test(tc, golden, 0, name_count);
	suite_add_tcase(s, tc);
	return s;
}
