/*
 * Reads the reply subject of a JetStream delivery. Used by workers and by `verify`, once a message: one
 * pass over the text, no allocation, nothing of the library.
 *
 * Only the places of the tokens are remembered: domain, account, stream and consumer names are passed
 * over, five numbers are read. A number that does not fit is a refusal, never a wrong value.
 */
#include "common/jsack.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PREFIX "$JS.ACK."

/* Tokens behind the prefix: <stream>.<consumer> and five numbers, or domain and account before them. */
enum { NUMBERS = 5, NAMES_SHORT = 2, NAMES_LONG = 4 };

struct token {
	const char *start;
	size_t len;
};

/* Splits at the dots; returns how many tokens there are, of which at most max are stored. */
static size_t
split(const char *text, struct token *tokens, size_t max)
{
	const char *start = text;
	size_t count = 0;

	for (const char *p = text;; p++) {
		if (*p != '.' && *p != '\0')
			continue;
		if (count < max)
			tokens[count] = (struct token){start, (size_t)(p - start)};
		count++;
		if (*p == '\0')
			return count;
		start = p + 1;
	}
}

static bool
read_number(const struct token *t, uint64_t *value)
{
	uint64_t v = 0;

	if (t->len == 0 || t->len > 20)
		return false;
	for (size_t i = 0; i < t->len; i++) {
		unsigned digit = (unsigned char)t->start[i] - (unsigned)'0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

int
jsack_parse(const char *reply, struct jsack *ack)
{
	struct token tokens[NAMES_LONG + NUMBERS];
	uint64_t number[NUMBERS];
	size_t count, names;

	if (reply == NULL || strncmp(reply, PREFIX, sizeof PREFIX - 1) != 0)
		return -1;
	count = split(reply + sizeof PREFIX - 1, tokens, NAMES_LONG + NUMBERS);
	if (count == NAMES_SHORT + NUMBERS)
		names = NAMES_SHORT;
	else if (count >= NAMES_LONG + NUMBERS)
		names = NAMES_LONG;
	else
		return -1;
	for (size_t i = 0; i < names; i++)
		if (tokens[i].len == 0)
			return -1;
	for (size_t i = 0; i < NUMBERS; i++)
		if (!read_number(&tokens[names + i], &number[i]))
			return -1;
	if (number[3] > INT64_MAX)
		return -1;
	*ack = (struct jsack){.delivered = number[0],
			      .stream_seq = number[1],
			      .consumer_seq = number[2],
			      .stored_ns = (int64_t)number[3],
			      .pending = number[4]};
	return 0;
}
