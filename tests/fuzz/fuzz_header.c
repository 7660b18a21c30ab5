/*
 * Fuzz target: header blocks. The first byte chooses what the target accepts and whether the rest is a
 * whole block or the lines of one. Invariants: what copying yields is stable, holds nothing but the
 * source's bytes and new names, and is what the comparison of `verify` takes for equal.
 */
#include <string.h>

#include "common/header.h"
#include "common/origin.h"
#include "tests/fuzz/fuzz.h"

#define OWN_FIRST "Nats-Expected-Last-Sequence: 7\r\n"
#define OWN_LAST  "Choria-SR-Source: S 1 site topic 5\r\n"

static void
wrap(struct strbuf *block, const char *lines, size_t len)
{
	strbuf_reset(block);
	strbuf_adds(block, "NATS/1.0\r\n");
	strbuf_add(block, lines, len);
	strbuf_adds(block, "\r\n");
}

static void
walk(const char *block, size_t len)
{
	const char *names, *action, *why, *text;
	struct header_line line;
	size_t offset = 0, text_len, before;

	do {
		before = offset;
		if (!header_next(block, len, &offset, &line))
			break;
		REQUIRE(offset > before && offset <= len);
		REQUIRE(line.name == line.line && line.line >= block);
		REQUIRE(line.name_len < line.line_len && line.line + line.line_len <= block + len);
		REQUIRE(line.value > line.name && line.value + line.value_len <= line.line + line.line_len);
		REQUIRE(line.name[line.name_len] == ':');
	} while (true);
	if (header_inline_status(block, len, &text, &text_len) > 0)
		REQUIRE(text >= block && text + text_len <= block + len);
	REQUIRE(header_rule_row(0, &names, &action, &why));
}

/* Each line of a copy stands in the source as it is, or behind its new name. */
static void
check_bytes(const struct strbuf *copy, const char *source, size_t source_len)
{
	for (size_t at = 0; at < copy->len;) {
		const char *line = copy->data + at;
		const char *end = memmem(line, copy->len - at, "\r\n", 2);
		size_t len;

		REQUIRE(end != NULL);
		len = (size_t)(end - line) + 2;
		if (memmem(source, source_len, line, len) == NULL) {
			const char *colon = memchr(line, ':', len);

			REQUIRE(strncmp(line, "Choria-SR-", 10) == 0 && colon != NULL);
			REQUIRE(memmem(source, source_len, colon, len - (size_t)(colon - line)) != NULL);
		}
		at += len;
	}
}

static void
check_stable(const struct header_policy *policy, const struct strbuf *copy)
{
	struct strbuf block, again;

	strbuf_init(&block);
	strbuf_init(&again);
	wrap(&block, copy->data, copy->len);
	REQUIRE(header_copy_lines(policy, block.data, block.len, &again) == 0);
	REQUIRE(again.len == copy->len && memcmp(again.data, copy->data, copy->len) == 0);
	strbuf_fini(&block);
	strbuf_fini(&again);
}

/* The copy as the worker writes it is equal and proves its origin; with a line more or less it is not. */
static void
check_equal(const struct strbuf *copy, const char *source, size_t len)
{
	struct strbuf lines, target;
	struct origin o;

	strbuf_init(&lines);
	strbuf_init(&target);
	strbuf_adds(&lines, OWN_FIRST);
	strbuf_add(&lines, copy->data, copy->len);
	header_path_append(source, len, "own-site", &lines);
	strbuf_adds(&lines, OWN_LAST);
	wrap(&target, lines.data, lines.len);
	REQUIRE(header_block_valid(target.data, target.len));
	REQUIRE(header_equal_after_copy(source, len, target.data, target.len));
	REQUIRE(header_path_has(target.data, target.len, "own-site"));
	REQUIRE(origin_from_headers(target.data, target.len, &o) == 0 && o.seq == 1);
	strbuf_adds(&lines, "Stranger: 1\r\n");
	wrap(&target, lines.data, lines.len);
	REQUIRE(!header_equal_after_copy(source, len, target.data, target.len));
	strbuf_fini(&lines);
	strbuf_fini(&target);
}

static void
check_block(const struct header_policy *policy, const char *block, size_t len)
{
	struct strbuf copy;

	walk(block, len);
	strbuf_init(&copy);
	if (header_copy_lines(policy, block, len, &copy) == 0) {
		REQUIRE(header_block_valid(block, len));
		check_bytes(&copy, block, len);
		check_stable(policy, &copy);
		check_equal(&copy, block, len);
	} else {
		REQUIRE(copy.len == 0);
	}
	header_path_append(block, len, "own-site", &copy);
	(void)header_path_has(block, len, "a");
	strbuf_fini(&copy);
}

/* Two arbitrary blocks: the halves of the input. */
static void
check_pair(const char *text, size_t len)
{
	struct strbuf a, b;

	strbuf_init(&a);
	strbuf_init(&b);
	wrap(&a, text, len / 2);
	wrap(&b, text + len / 2, len - len / 2);
	(void)header_equal_after_copy(a.data, a.len, b.data, b.len);
	(void)header_equal_after_copy(text, len / 2, text + len / 2, len - len / 2);
	strbuf_fini(&a);
	strbuf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct header_policy policy;
	struct strbuf block;

	if (size == 0)
		return 0;
	policy = (struct header_policy){.pass_rollup = (data[0] & 1) != 0,
					.accept_ttl = (data[0] & 2) != 0,
					.accept_schedule = (data[0] & 4) != 0,
					.accept_counter = (data[0] & 8) != 0};
	if ((data[0] & 16) != 0) {
		check_block(&policy, text, size - 1);
	} else {
		strbuf_init(&block);
		wrap(&block, text, size - 1);
		check_block(&policy, block.data, block.len);
		strbuf_fini(&block);
		check_pair(text, size - 1);
	}
	return 0;
}
