/*
 * Header blocks: walking them, the table of what a copy does with which header, copying, comparing.
 * Runs in workers (once a message) and in `verify`; pure, allocates nothing but through the strbuf.
 *
 * Invariants: no function reads past the length it was given, whatever the bytes; header_copy_lines
 * appends kept lines in the bytes and order of the source and is stable: its own output, put into a block
 * again, yields itself.
 *
 * traceparent is not in the table. It is a W3C header of the user's own and reaches the target; a server
 * traces such a message only if its operator configured a trace destination for the account, and then
 * still stores it. Nats-Trace-Dest and Nats-Trace-Only are commands to the server.
 */
#include "common/header.h"

#include <string.h>
#include <strings.h>

#include "common/origin.h"

#define VERSION     "NATS/1.0"
#define VERSION_LEN (sizeof VERSION - 1)
#define OUR_PREFIX  "Choria-SR-"

/* What of the target decides a row; the row's action holds while it is false. */
enum condition { ALWAYS, UNLESS_ROLLUP, UNLESS_TTL, UNLESS_SCHEDULE, UNLESS_COUNTER };

struct rule {
	const char *names; /* a name, or with * at its end the beginning of one */
	enum header_action action;
	const char *renamed; /* new name; NULL: OUR_PREFIX and the old name */
	enum condition condition;
	const char *action_text;
	const char *why;
};

#define RENAMED_OURS    "renamed Choria-SR-<name>"
#define RENAMED_UNLESS  "renamed Choria-SR-<name>, unless the target is known to accept it"
#define WHY_COMMAND     "it was a command to the source's stream"
#define WHY_REFUSED     "newer servers refuse it where the stream does not allow it"
#define WHY_STREAM_ONLY "newer servers refuse it from clients"

static const struct rule rules[] = {
    {"Nats-Expected-*", HEADER_REMOVE, NULL, ALWAYS, "removed", WHY_COMMAND},
    {"Nats-Rollup", HEADER_REMOVE, NULL, UNLESS_ROLLUP,
     "removed, unless pass_rollup is set and the target allows rollup", WHY_COMMAND},
    {"Nats-Batch-*", HEADER_REMOVE, NULL, ALWAYS, "removed", WHY_COMMAND},
    {"Nats-Trace-*", HEADER_RENAME, NULL, ALWAYS, RENAMED_OURS,
     "with trace-only a newer server neither stores nor answers"},
    {ORIGIN_HEADER, HEADER_RENAME, ORIGIN_PREVIOUS_HEADER, ALWAYS, "renamed " ORIGIN_PREVIOUS_HEADER,
     "of an earlier hop; exactly one of our own is written"},
    {ORIGIN_PATH_HEADER, HEADER_REMOVE, NULL, ALWAYS, "written anew with this site added",
     "the sites a message has been through, one line"},
    {ORIGIN_VALUE_HEADER, HEADER_REMOVE, NULL, ALWAYS,
     "written anew where the copy does not show it otherwise",
     "the value that a sampled copy was made of, to be read back by its own topic"},
    {"Nats-Msg-Id", HEADER_RENAME, ORIGIN_MSG_ID_HEADER, ALWAYS, "renamed " ORIGIN_MSG_ID_HEADER,
     "the target's duplicate window must not swallow a message that the source kept"},
    {"Nats-Stream-Source", HEADER_RENAME, NULL, ALWAYS, RENAMED_OURS, WHY_STREAM_ONLY},
    {"Nats-TTL", HEADER_RENAME, NULL, UNLESS_TTL, RENAMED_UNLESS, WHY_REFUSED},
    {"Nats-Schedul*", HEADER_RENAME, NULL, UNLESS_SCHEDULE, RENAMED_UNLESS, WHY_REFUSED},
    {"Nats-Incr", HEADER_RENAME, NULL, UNLESS_COUNTER, RENAMED_UNLESS, WHY_REFUSED},
    {"Nats-Counter-*", HEADER_RENAME, NULL, UNLESS_COUNTER, RENAMED_UNLESS, WHY_REFUSED},
};
enum { RULES = sizeof rules / sizeof rules[0] };

/* ---- the block ---------------------------------------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where the CR LF at or behind at stands; len if there is none. */
static size_t
line_end(const char *block, size_t len, size_t at)
{
	while (at + 1 < len) {
		const char *cr = memchr(block + at, '\r', len - 1 - at);

		if (cr == NULL)
			break;
		at = (size_t)(cr - block);
		if (block[at + 1] == '\n')
			return at;
		at++;
	}
	return len;
}

static size_t
skip_line(size_t end, size_t len)
{
	return end + 2 < len ? end + 2 : len;
}

/* The end of the header that starts at `at`, folded lines included: where its last CR LF stands. */
static size_t
header_end(const char *block, size_t len, size_t at)
{
	size_t end = line_end(block, len, at);

	while (end + 2 < len && is_blank(block[end + 2]))
		end = line_end(block, len, end + 2);
	return end;
}

/* The first byte behind the version line; 0 if the block does not begin with one. */
static size_t
first_line(const char *block, size_t len)
{
	size_t end;

	if (len < VERSION_LEN || memcmp(block, VERSION, VERSION_LEN) != 0)
		return 0;
	end = line_end(block, len, VERSION_LEN);
	return end == len ? 0 : end + 2;
}

bool
header_block_valid(const char *block, size_t len)
{
	size_t first;

	if (len == 0)
		return true;
	first = first_line(block, len);
	if (first == 0 || len < first + 2 || memcmp(block + len - 4, "\r\n\r\n", 4) != 0)
		return false;
	if (is_blank(block[first])) /* it would become part of the line that we write above it */
		return false;
	return memchr(block, '\0', len) == NULL;
}

int
header_inline_status(const char *block, size_t len, const char **description, size_t *description_len)
{
	size_t first = first_line(block, len), at = VERSION_LEN, end;
	int status = 0, digits = 0;

	if (description != NULL)
		*description = "";
	if (description_len != NULL)
		*description_len = 0;
	if (first == 0 || block[at] != ' ')
		return 0;
	end = first - 2;
	while (at < end && block[at] == ' ')
		at++;
	for (; at < end && block[at] >= '0' && block[at] <= '9'; at++, digits++)
		if (digits < 3)
			status = status * 10 + (block[at] - '0');
	if (digits != 3 || (at < end && block[at] != ' '))
		return 0;
	while (at < end && block[at] == ' ')
		at++;
	if (description != NULL)
		*description = block + at;
	if (description_len != NULL)
		*description_len = end - at;
	return status;
}

/* Fills *line from the header at [at, end); false if it has no colon, or begins as a folded line. */
static bool
split_line(const char *block, size_t at, size_t end, struct header_line *line)
{
	size_t name_end = line_end(block, end, at); /* a colon in a folded line ends no name */
	const char *colon = memchr(block + at, ':', name_end - at);
	const char *value, *stop = block + end;

	if (colon == NULL || is_blank(block[at]))
		return false;
	for (value = colon + 1; value < stop && is_blank(*value);)
		value++;
	while (stop > value && is_blank(stop[-1]))
		stop--;
	*line = (struct header_line){.line = block + at,
				     .line_len = end - at,
				     .name = block + at,
				     .name_len = (size_t)(colon - (block + at)),
				     .value = value,
				     .value_len = (size_t)(stop - value)};
	return true;
}

bool
header_next(const char *block, size_t len, size_t *offset, struct header_line *line)
{
	size_t at = *offset > 0 ? *offset : first_line(block, len);

	while (at > 0 && at < len) {
		size_t end = header_end(block, len, at);
		bool found = split_line(block, at, end, line);

		at = *offset = skip_line(end, len);
		if (found)
			return true;
	}
	return false;
}

bool
header_find(const char *block, size_t len, const char *name, struct header_line *line)
{
	size_t name_len = strlen(name), offset = 0;

	while (header_next(block, len, &offset, line))
		if (line->name_len == name_len && memcmp(line->name, name, name_len) == 0)
			return true;
	return false;
}

uint64_t
header_number(const char *block, size_t len, const char *name)
{
	struct header_line line;
	uint64_t number = 0;

	if (!header_find(block, len, name, &line))
		return 0;
	for (size_t i = 0; i < line.value_len && line.value[i] >= '0' && line.value[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(line.value[i] - '0');
	return number;
}

bool
header_name_is(const struct header_line *line, const char *name)
{
	return line->name_len == strlen(name) && strncasecmp(line->name, name, line->name_len) == 0;
}

/* ---- the table ---------------------------------------------------------------------------------- */

static bool
accepted(const struct header_policy *policy, enum condition c)
{
	switch (c) {
	case UNLESS_ROLLUP:
		return policy->pass_rollup;
	case UNLESS_TTL:
		return policy->accept_ttl;
	case UNLESS_SCHEDULE:
		return policy->accept_schedule;
	case UNLESS_COUNTER:
		return policy->accept_counter;
	case ALWAYS:
		break;
	}
	return false;
}

static bool
rule_matches(const struct rule *r, const char *name, size_t name_len)
{
	size_t len = strlen(r->names);

	if (r->names[len - 1] == '*')
		return name_len >= len - 1 && strncasecmp(r->names, name, len - 1) == 0;
	return name_len == len && strncasecmp(r->names, name, len) == 0;
}

/* Every row's name begins with N or C and has eight letters at least: most headers end here. */
static bool
may_have_rule(const char *name, size_t name_len)
{
	return name_len >= 8 && ((name[0] | 0x20) == 'n' || (name[0] | 0x20) == 'c');
}

enum header_action
header_rule(const struct header_policy *policy, const char *name, size_t name_len, const char **renamed,
	    bool *is_prefix)
{
	*renamed = NULL;
	*is_prefix = false;
	if (!may_have_rule(name, name_len))
		return HEADER_KEEP;
	for (size_t i = 0; i < RULES; i++) {
		if (!rule_matches(&rules[i], name, name_len))
			continue;
		if (accepted(policy, rules[i].condition))
			return HEADER_KEEP;
		if (rules[i].action == HEADER_RENAME) {
			*is_prefix = rules[i].renamed == NULL;
			*renamed = *is_prefix ? OUR_PREFIX : rules[i].renamed;
		}
		return rules[i].action;
	}
	return HEADER_KEEP;
}

bool
header_rule_row(size_t i, const char **names, const char **action, const char **why)
{
	if (i >= RULES)
		return false;
	*names = rules[i].names;
	*action = rules[i].action_text;
	*why = rules[i].why;
	return true;
}

/* ---- copying ------------------------------------------------------------------------------------ */

/* One header of a source block as a copy would carry it: head and then tail, tail ending in CR LF. */
struct copied {
	const char *head[2]; /* new name in up to two parts; both empty for a kept header */
	size_t head_len[2];
	const char *tail;
	size_t tail_len;
};

/* The header at *at and its copy; *at moves behind it. False if the copy has nothing of it. */
static bool
copy_header(const struct header_policy *policy, const char *block, size_t len, size_t *at, struct copied *c)
{
	size_t end = header_end(block, len, *at);
	struct header_line line;
	enum header_action action = HEADER_KEEP;
	const char *renamed = NULL;
	bool is_prefix = false;

	*c = (struct copied){.tail = block + *at, .tail_len = end + 2 - *at};
	if (split_line(block, *at, end, &line))
		action = header_rule(policy, line.name, line.name_len, &renamed, &is_prefix);
	*at = end + 2;
	if (action == HEADER_RENAME) {
		c->head[0] = renamed;
		c->head_len[0] = strlen(renamed);
		if (is_prefix) {
			c->head[1] = line.name;
			c->head_len[1] = line.name_len;
		}
		c->tail += line.name_len;
		c->tail_len -= line.name_len;
	}
	return action != HEADER_REMOVE;
}

/* Whether the first line says more than the version. */
static bool
has_inline_text(const char *block, size_t first)
{
	for (size_t i = VERSION_LEN; i < first - 2; i++)
		if (!is_blank(block[i]))
			return true;
	return false;
}

int
header_copy_lines(const struct header_policy *policy, const char *block, size_t len, struct strbuf *out)
{
	size_t at, last;

	if (len == 0)
		return 0;
	if (!header_block_valid(block, len))
		return -1;
	at = first_line(block, len);
	if (has_inline_text(block, at))
		return -1;
	last = len - 2; /* the final empty line */
	while (at < last) {
		struct copied c;

		if (!copy_header(policy, block, last, &at, &c))
			continue;
		for (size_t i = 0; i < 2; i++)
			if (c.head_len[i] > 0)
				strbuf_add(out, c.head[i], c.head_len[i]);
		strbuf_add(out, c.tail, c.tail_len);
	}
	return 0;
}

/* ---- path --------------------------------------------------------------------------------------- */

static bool
ends_site(char c)
{
	return c == ',' || c == '\r' || c == '\n'; /* the latter in a folded line */
}

/* The next site of a comma-separated list, without blanks around it; false at the end. */
static bool
next_site(const char *list, size_t len, size_t *at, const char **site, size_t *site_len)
{
	while (*at < len) {
		size_t start = *at, stop = start;

		while (stop < len && !ends_site(list[stop]))
			stop++;
		*at = stop + 1;
		while (start < stop && is_blank(list[start]))
			start++;
		while (stop > start && is_blank(list[stop - 1]))
			stop--;
		if (stop == start)
			continue;
		*site = list + start;
		*site_len = stop - start;
		return true;
	}
	return false;
}

bool
header_path_has(const char *block, size_t len, const char *site)
{
	size_t offset = 0, want = strlen(site), at, found_len;
	struct header_line line;
	const char *found;

	while (header_next(block, len, &offset, &line)) {
		if (!header_name_is(&line, ORIGIN_PATH_HEADER))
			continue;
		for (at = 0; next_site(line.value, line.value_len, &at, &found, &found_len);)
			if (found_len == want && memcmp(found, site, want) == 0)
				return true;
	}
	return false;
}

void
header_path_append(const char *block, size_t len, const char *own_site, struct strbuf *out)
{
	size_t offset = 0, at, site_len;
	struct header_line line;
	const char *site;

	strbuf_adds(out, ORIGIN_PATH_HEADER ": ");
	while (header_next(block, len, &offset, &line)) {
		if (!header_name_is(&line, ORIGIN_PATH_HEADER))
			continue;
		for (at = 0; next_site(line.value, line.value_len, &at, &site, &site_len);) {
			strbuf_add(out, site, site_len);
			strbuf_add(out, ",", 1);
		}
	}
	strbuf_adds(out, own_site);
	strbuf_adds(out, "\r\n");
}

/* ---- comparing ---------------------------------------------------------------------------------- */

/* A header of the target that this program writes itself: the source's own never reach a copy as such. */
static bool
is_own_line(const char *block, size_t at, size_t end)
{
	static const char *const own[] = {ORIGIN_HEADER, ORIGIN_PATH_HEADER, ORIGIN_VALUE_HEADER,
					  "Nats-Expected-Last-Sequence", "Nats-Msg-Id"};
	struct header_line line;

	if (!split_line(block, at, end, &line))
		return false;
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (header_name_is(&line, own[i]))
			return true;
	return false;
}

/* Where the next header that is not our own starts, at or behind `at`; len at the end. */
static size_t
skip_own(const char *block, size_t len, size_t at)
{
	while (at < len) {
		size_t end = header_end(block, len, at);

		if (!is_own_line(block, at, end))
			break;
		at = end + 2;
	}
	return at < len ? at : len;
}

static bool
same_header(const struct copied *c, const char *block, size_t at, size_t end)
{
	const char *have = block + at;
	size_t len = end + 2 - at;

	if (len != c->head_len[0] + c->head_len[1] + c->tail_len)
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (c->head_len[i] > 0 && memcmp(have, c->head[i], c->head_len[i]) != 0)
			return false;
		have += c->head_len[i];
	}
	return memcmp(have, c->tail, c->tail_len) == 0;
}

static bool
equal_under(const struct header_policy *policy, const char *source, size_t source_len, const char *target,
	    size_t target_len)
{
	size_t s = first_line(source, source_len), s_end = source_len > 0 ? source_len - 2 : 0;
	size_t t = first_line(target, target_len), t_end = target_len > 0 ? target_len - 2 : 0;

	for (t = skip_own(target, t_end, t); s < s_end;) {
		struct copied c;
		size_t end;

		if (!copy_header(policy, source, s_end, &s, &c))
			continue;
		if (t >= t_end)
			return false;
		end = header_end(target, t_end, t);
		if (!same_header(&c, target, t, end))
			return false;
		t = skip_own(target, t_end, end + 2);
	}
	return t >= t_end;
}

bool
header_equal_after_copy(const char *source, size_t source_len, const char *target, size_t target_len)
{
	enum { POLICIES = 1 << 4 };

	if (!header_block_valid(source, source_len) || !header_block_valid(target, target_len))
		return false;
	for (unsigned i = 0; i < POLICIES; i++) {
		struct header_policy policy = {
		    .pass_rollup = (i & 1) != 0,
		    .accept_ttl = (i & 2) != 0,
		    .accept_schedule = (i & 4) != 0,
		    .accept_counter = (i & 8) != 0,
		};

		if (equal_under(&policy, source, source_len, target, target_len))
			return true;
	}
	return false;
}
