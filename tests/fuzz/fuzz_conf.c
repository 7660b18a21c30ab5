/*
 * Fuzz target: a configuration, as a worker's text and as a file with environment and includes. It is refused
 * with at least one text, or taken; what is taken can be printed and comes out the same, and children take
 * what they are sent of it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/election_plan.h"
#include "tests/fuzz/fuzz.h"

static void
check_print(const struct conf *c, enum conf_print_mode mode)
{
	struct conf_errors errors = {0};
	struct strbuf text, again;
	struct conf *back;

	strbuf_init(&text);
	strbuf_init(&again);
	conf_print(c, NULL, mode, &text);
	back = conf_load_text(text.data, text.len, &errors);
	if (back == NULL)
		fprintf(stderr, "%s\n%s\n", errors.text[0], text.data);
	REQUIRE(back != NULL);
	conf_print(back, NULL, mode, &again);
	REQUIRE(strcmp(text.data, again.data) == 0);
	for (size_t i = 0; i < c->topic_count && mode == CONF_PRINT_SECRET; i++)
		REQUIRE(conf_topic_equal(c, &c->topics[i], back, &back->topics[i]));
	conf_errors_fini(&errors);
	conf_free(&back);
	strbuf_fini(&text);
	strbuf_fini(&again);
}

#define CHILDREN_MAX 100 /* topics: more take too long to be tried so often */

/* What children are sent is taken by them. */
static void
check_sent(const struct strbuf *text)
{
	struct conf_errors errors = {0};
	struct conf *back = conf_load_text(text->data, text->len, &errors);

	if (back == NULL)
		fprintf(stderr, "%s\n%s\n", errors.text[0], text->data);
	REQUIRE(back != NULL);
	conf_errors_fini(&errors);
	conf_free(&back);
}

static void
check_children(const struct conf *c)
{
	struct election_plan plan;
	struct strbuf text;

	if (c->topic_count > CHILDREN_MAX)
		return;
	strbuf_init(&text);
	election_plan_make(c, &plan);
	for (size_t i = 0; i < plan.group_count && i < 8; i++) {
		strbuf_reset(&text);
		election_plan_print(c, &plan.groups[i], &text);
		check_sent(&text);
	}
	election_plan_fini(&plan);
	for (size_t i = 0; i < c->topic_count && i < 8; i++) {
		strbuf_reset(&text);
		conf_print(c, &c->topics[i], CONF_PRINT_SECRET, &text);
		check_sent(&text);
	}
	strbuf_reset(&text);
	conf_print_heartbeat(c, &text);
	check_sent(&text);
	strbuf_fini(&text);
}

static void
check_loaded(struct conf *c, struct conf_errors *errors)
{
	if (c != NULL) {
		REQUIRE(errors->count == 0);
		check_print(c, CONF_PRINT_SECRET);
		check_print(c, CONF_PRINT_MASKED);
		check_children(c);
	} else {
		REQUIRE(errors->count > 0);
	}
	conf_errors_fini(errors);
	conf_free(&c);
}

static void
check_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf_errors errors = {0};
	char path[64];

	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	check_loaded(conf_load(path, &errors), &errors);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_errors errors = {0};

	check_loaded(conf_load_text((const char *)data, size, &errors), &errors);
	check_file(data, size);
	return 0;
}
