/*
 * Fuzz target: what stands in an election bucket. The input is a raw header block, an empty line, and a
 * value; whatever it is, it is a marker or somebody's, and fit to be shown.
 */
#include <string.h>

#include "common/election_value.h"
#include "common/header.h"
#include "common/nats/election_bucket.h"
#include "common/text.h"
#include "tests/fuzz/fuzz.h"

static void
is_fit_to_show(const char *text)
{
	REQUIRE(text_utf8_valid(text, strlen(text)));
	for (const char *c = text; *c != '\0'; c++)
		REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* What we write of it reads as the same again. */
static void
comes_back(const struct election_value *v)
{
	struct election_value back;
	struct strbuf text;

	strbuf_init(&text);
	election_value_write(v, &text);
	election_value_read(text.data, text.len, &back);
	REQUIRE(back.known && strcmp(back.node, v->node) == 0 && strcmp(back.site, v->site) == 0);
	REQUIRE(strcmp(back.nonce, v->nonce) == 0 && back.pid == v->pid && back.term == v->term);
	REQUIRE(!v->has_map || back.map == v->map);
	strbuf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text;
	struct election_value v;
	char release[32];

	for (size_t i = 0; i + 4 <= size; i++)
		if (memcmp(text + i, "\r\n\r\n", 4) == 0)
			end = text + i + 4;
	election_bucket_is_marker(end > text ? text : NULL, (size_t)(end - text), release, sizeof release);
	REQUIRE(memchr(release, '\0', sizeof release) != NULL);
	election_value_read(end, size - (size_t)(end - text), &v);
	REQUIRE(v.node[0] != '\0' && (v.known || v.nonce[0] == '\0'));
	is_fit_to_show(v.node);
	is_fit_to_show(v.site);
	if (v.known)
		comes_back(&v);
	return 0;
}
