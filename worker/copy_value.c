/*
 * Reading a value back from a copy; runs in a replicating worker at a start and at a gain of leadership.
 *
 * A field stands in the body, which is the source's. A subject is mapped back by taking the prefix off. A
 * header may have got another name on the way, for some targets and not for others (header.c's table), so
 * the new name is looked for first and the old one only where a copy may have kept it. Everything that this
 * would not find, the copy says in a header of its own.
 */
#include "worker/copy_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/header.h"
#include "common/origin.h"
#include "common/strbuf.h"
#include "common/subject.h"
#include "common/xalloc.h"
#include "worker/inspect.h"

#define MSG_SIZE "Nats-Msg-Size" /* of a message without its body */

struct copy_value {
	const struct conf_topic *topic;
	char *first_header; /* name in the copy */
	struct conf_sampling first_rules, second_rules;
	struct inspector *first, *second; /* second NULL: nowhere else to look */
	size_t prefix_len;                /* of the subject, to be taken off */
};

static const struct header_policy strictest, freest = {true, true, true, true};

static enum header_action
rule_of(const struct header_policy *policy, const char *name, const char **renamed, bool *is_prefix)
{
	return header_rule(policy, name, strlen(name), renamed, is_prefix);
}

bool
copy_value_needs_line(const struct conf_topic *topic)
{
	const char *renamed;
	bool is_prefix;

	switch (topic->sampling.inspect) {
	case INSPECT_SUBJECT:
		return topic->target_subject_remove[0] != '\0';
	case INSPECT_HEADER:
		return rule_of(&strictest, topic->sampling.header, &renamed, &is_prefix) == HEADER_REMOVE;
	default:
		return false;
	}
}

/* The name that the header has in the copy; *kept: some targets get it under its own name. */
static char *
name_in_copy(const struct conf_topic *topic, bool *kept)
{
	const char *name = topic->sampling.header, *renamed;
	struct strbuf out;
	bool is_prefix;

	*kept = false;
	if (copy_value_needs_line(topic))
		return xstrdup(ORIGIN_VALUE_HEADER);
	if (rule_of(&strictest, name, &renamed, &is_prefix) != HEADER_RENAME)
		return xstrdup(name);
	strbuf_init(&out);
	strbuf_addf(&out, "%s%s", renamed, is_prefix ? name : "");
	*kept = rule_of(&freest, name, &renamed, &is_prefix) == HEADER_KEEP;
	return strbuf_take(&out);
}

static void
look_in_header(struct copy_value *v, bool *kept)
{
	v->first_header = name_in_copy(v->topic, kept);
	v->first_rules.inspect = INSPECT_HEADER;
	v->first_rules.header = v->first_header;
}

/* What stands in front of the source's subject: what "x" is mapped to, less the "x". */
static size_t
prefix_of(const struct conf_topic *topic)
{
	char mapped[SUBJECT_MAX];
	int len = subject_map(topic->target_subject_prefix, "", "x", mapped, sizeof mapped);

	return len > 0 ? (size_t)len - 1 : 0;
}

struct copy_value *
copy_value_new(const struct conf_topic *topic, struct error *e)
{
	struct copy_value *v = xcalloc(1, sizeof *v);
	static char nothing[] = "";
	bool kept = false;

	v->topic = topic;
	v->first_rules = v->second_rules = topic->sampling;
	v->first_rules.force_field = v->second_rules.force_field = nothing;
	if (topic->sampling.inspect == INSPECT_HEADER || copy_value_needs_line(topic))
		look_in_header(v, &kept);
	else if (topic->sampling.inspect == INSPECT_SUBJECT)
		v->prefix_len = prefix_of(topic);
	v->first = inspect_new(&v->first_rules, e);
	if (v->first != NULL && kept)
		v->second = inspect_new(&v->second_rules, e);
	if (v->first == NULL || (kept && v->second == NULL))
		copy_value_free(&v);
	return v;
}

void
copy_value_free(struct copy_value **vp)
{
	struct copy_value *v = *vp;

	if (v == NULL)
		return;
	inspect_free(&v->first);
	inspect_free(&v->second);
	free(v->first_header);
	free(v);
	*vp = NULL;
}

bool
copy_value_wants_body(const struct copy_value *v)
{
	return v->topic->sampling.inspect == INSPECT_FIELD;
}

/* Whether the mapping put the prefix there. */
static bool
has_prefix(const struct copy_value *v, const char *subject)
{
	size_t len = v->prefix_len > 0 ? v->prefix_len - 1 : 0; /* without its dot */

	if (v->prefix_len == 0)
		return true;
	return strlen(subject) > v->prefix_len && subject[len] == '.' &&
	       strncmp(subject, v->topic->target_subject_prefix, len) == 0;
}

void
copy_value_read(const struct copy_value *v, const struct nats_message *m, struct sample_value *value,
		uint64_t *size)
{
	struct inspect_message in = {m->subject, m->headers, m->headers_len, m->data, m->data_len};
	struct inspect_result result;

	value->len = 0;
	*size = copy_value_wants_body(v) ? m->data_len : header_number(m->headers, m->headers_len, MSG_SIZE);
	if (v->first_rules.inspect == INSPECT_SUBJECT) {
		if (!has_prefix(v, m->subject))
			return;
		in.subject += v->prefix_len;
	}
	inspect_message(v->first, &in, &result);
	if (result.value.len == 0 && v->second != NULL)
		inspect_message(v->second, &in, &result);
	if (result.value.len > 0)
		*value = result.value;
}
