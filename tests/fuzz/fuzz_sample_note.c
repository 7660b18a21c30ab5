/* Fuzz target: notes on what is whole, from state.db and gossip. What is read holds what its struct promises,
 * and what we write of it reads as the same again. */
#include <string.h>

#include "common/sample_note.h"
#include "tests/fuzz/fuzz.h"

static void
holds(const struct sample_note *n)
{
	int64_t before_ms = -1;

	REQUIRE(n->source_created_ns >= 0 && n->target_created_ns >= 0 && n->heard_ms >= 0);
	REQUIRE(n->source_seq <= INT64_MAX && n->target_seq <= INT64_MAX);
	REQUIRE(n->gap_count <= LISTENING_GAPS);
	for (size_t i = 0; i < n->gap_count; i++) {
		REQUIRE(n->gaps[i].from_ms > before_ms && n->gaps[i].to_ms > n->gaps[i].from_ms);
		before_ms = n->gaps[i].to_ms;
	}
	REQUIRE(before_ms <= n->heard_ms);
}

static void
comes_back(const struct sample_note *n)
{
	struct sample_note back;
	struct error e = ERROR_INIT;
	struct strbuf text;

	strbuf_init(&text);
	sample_note_write(n, &text);
	REQUIRE(sample_note_read(text.data, text.len, &back, &e) == 0);
	REQUIRE(memcmp(n, &back, sizeof back) == 0);
	strbuf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sample_note n;
	struct error e = ERROR_INIT;

	if (sample_note_read((const char *)data, size, &n, &e) < 0) {
		REQUIRE(e.text[0] != '\0' && n.heard_ms == 0 && n.source_seq == 0 && n.gap_count == 0);
		return 0;
	}
	holds(&n);
	comes_back(&n);
	return 0;
}
