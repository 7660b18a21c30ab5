/*
 * Fuzz target: what comes by gossip. The first byte says as what the rest is read: an item, a position, a
 * page with its items, or the number in a header block. What was taken has our form, and comes back from our
 * own writing as it was.
 */
#include <string.h>

#include "common/gossip.h"
#include "tests/fuzz/fuzz.h"

static void
item(const char *text, size_t len)
{
	struct proto_sample row, back;
	struct sample_value value, value_back;
	struct error e = ERROR_INIT;
	struct strbuf b;

	if (gossip_item_read(text, len, &row, &value, &e) != 0) {
		REQUIRE(e.text[0] != '\0');
		return;
	}
	REQUIRE(len <= GOSSIP_ITEM_MAX && row.seen_ms > 0 && row.copied_ms >= 0 && !row.forgotten);
	REQUIRE(row.value == value.text && row.value_len == value.len);
	REQUIRE(sample_value_valid(row.value, row.value_len));
	strbuf_init(&b);
	gossip_item_write(&row, &b);
	REQUIRE(gossip_item_read(b.data, b.len, &back, &value_back, &e) == 0);
	REQUIRE(back.seen_ms == row.seen_ms && back.copied_ms == row.copied_ms && back.size == row.size);
	REQUIRE(back.advised == row.advised && strcmp(value.text, value_back.text) == 0);
	strbuf_fini(&b);
}

static void
check_position(const struct gossip_position *p)
{
	REQUIRE(p->nonce.text[0] != '\0' && strlen(p->nonce.text) <= GOSSIP_NONCE_MAX);
	REQUIRE(strspn(p->nonce.text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
		strlen(p->nonce.text));
	REQUIRE(!(p->has_note && p->note_refused));
	REQUIRE(!p->has_note || p->note.gap_count <= LISTENING_GAPS);
}

static void
position(const char *text, size_t len)
{
	struct gossip_position p, back;
	struct error e = ERROR_INIT;
	struct strbuf b;

	if (gossip_position_read(text, len, &p, &e) != 0) {
		REQUIRE(e.text[0] != '\0');
		return;
	}
	check_position(&p);
	strbuf_init(&b);
	gossip_position_write(&p, &b);
	REQUIRE(gossip_position_read(b.data, b.len, &back, &e) == 0);
	REQUIRE(back.number == p.number && back.round == p.round && back.leaves == p.leaves);
	REQUIRE(gossip_nonce_equal(&back.nonce, &p.nonce) && back.has_note == p.has_note);
	if (p.has_note)
		REQUIRE(back.note.target_seq == p.note.target_seq && back.note.gap_count == p.note.gap_count);
	strbuf_fini(&b);
}

static void
page(const char *text, size_t len)
{
	struct gossip_page p;
	struct error e = ERROR_INIT;
	const char *end = text + len;
	size_t used;

	if (gossip_page_read(text, len, &p, &used, &e) != 0) {
		REQUIRE(e.text[0] != '\0');
		return;
	}
	REQUIRE(used <= len && text[used - 1] == '\n');
	check_position(&p.from);
	REQUIRE(strlen(p.next) <= GOSSIP_NONCE_MAX && strpbrk(p.next, ".*> ") == NULL);
	for (text += used; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t line = (size_t)((newline != NULL ? newline : end) - text);

		item(text, line);
		text += line + 1;
	}
}

static void
number(const char *text, size_t len)
{
	struct gossip_nonce nonce;
	uint64_t n = 0;

	if (gossip_number_read(text, len, &nonce, &n) != GOSSIP_NUMBERED)
		return;
	REQUIRE(n > 0 && n <= INT64_MAX);
	REQUIRE(nonce.text[0] != '\0' && strlen(nonce.text) <= GOSSIP_NONCE_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'i':
		item(text, size - 1);
		break;
	case 'p':
		position(text, size - 1);
		break;
	case 's':
		page(text, size - 1);
		break;
	default:
		number(text, size - 1);
		break;
	}
	return 0;
}
