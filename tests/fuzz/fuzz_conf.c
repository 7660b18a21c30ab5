/*
 * Fuzz target: a configuration file. It is refused with at least one text, or taken; what is taken can be
 * printed and comes out the same.
 */
#include <string.h>

#include "common/conf.h"
#include "tests/fuzz/fuzz.h"

static void
check_print(const struct conf *c)
{
	struct conf_errors errors = {0};
	struct strbuf text, again;
	struct conf *back;

	strbuf_init(&text);
	strbuf_init(&again);
	conf_print(c, NULL, CONF_PRINT_SECRET, &text);
	back = conf_load_text(text.data, text.len, &errors);
	if (back == NULL)
		fprintf(stderr, "%s\n%s\n", errors.text[0], text.data);
	REQUIRE(back != NULL);
	conf_print(back, NULL, CONF_PRINT_SECRET, &again);
	REQUIRE(strcmp(text.data, again.data) == 0);
	for (size_t i = 0; i < c->topic_count; i++)
		REQUIRE(conf_topic_equal(c, &c->topics[i], back, &back->topics[i]));
	conf_errors_fini(&errors);
	conf_free(&back);
	strbuf_fini(&text);
	strbuf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_errors errors = {0};
	struct conf *c = conf_load_text((const char *)data, size, &errors);

	if (c != NULL)
		check_print(c);
	else
		REQUIRE(errors.count > 0);
	conf_errors_fini(&errors);
	conf_free(&c);
	return 0;
}
