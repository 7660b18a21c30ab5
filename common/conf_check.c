/*
 * Checks of what is right value by value and wrong as a whole. Everything here is known from the file alone:
 * nothing is opened or connected. A setting that was refused already has its default here, so each check
 * first looks whether it has what it compares.
 */
#include "common/conf_check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/array.h"
#include "common/conf_check_election.h"
#include "common/conf_check_sampling.h"
#include "common/conf_partition.h"
#include "common/nats/endpoint.h"
#include "common/proto.h"
#include "common/subject.h"
#include "common/text.h"
#include "common/units.h"
#include "common/xalloc.h"

/* A topic with where it connects to. */
struct checked_topic {
	const struct conf_topic *topic;
	struct endpoint source, target;
	bool connectable;             /* both are filled */
	uint64_t key_hash, name_hash; /* thousands of topics are compared each with each */
};

/* Reports at the setting if it is set, else at the topic. */
#define TOPIC_PROBLEM(b, i, option, ...)                                                                     \
	do {                                                                                                 \
		size_t place_ = conf_build_topic_place(b, i, option);                                        \
		if (place_ != CONF_NONE)                                                                     \
			conf_scan_problem((b)->scan, place_, __VA_ARGS__);                                   \
		else                                                                                         \
			conf_scan_section_problem((b)->scan, (b)->topic_sections[i], __VA_ARGS__);           \
	} while (0)

static bool
is_set(const struct conf_build *b, size_t i, const char *option)
{
	return conf_build_topic_place(b, i, option) != CONF_NONE;
}

/* ---- one topic ------------------------------------------------------------------------------------- */

static bool
starts_somewhere(const struct conf_build *b, size_t i, const char *option)
{
	size_t place = conf_build_topic_place(b, i, option);
	bool value = true;

	if (place != CONF_NONE && strcmp(option, "start_at_end") == 0)
		units_parse_bool(b->scan->tokens[place].text, &value, NULL);
	return place != CONF_NONE && value;
}

static void
check_start(const struct conf_build *b, size_t i)
{
	static const char *const names[] = {"start_sequence", "start_time", "start_delta", "start_at_end"};
	const char *first = NULL;

	for (size_t k = 0; k < array_len(names); k++) {
		if (!starts_somewhere(b, i, names[k]))
			continue;
		if (first != NULL)
			TOPIC_PROBLEM(b, i, names[k],
				      "%s: set with %s, which says another place to start, leave one out",
				      names[k], first);
		first = names[k];
	}
}

static void
check_ephemeral(const struct conf_build *b, size_t i)
{
	static const char *const names[] = {"resume_from", "adopt"};

	if (!b->conf->topics[i].ephemeral)
		return;
	for (size_t k = 0; k < array_len(names); k++)
		if (is_set(b, i, names[k]))
			TOPIC_PROBLEM(b, i, names[k],
				      "%s: set with ephemeral, which copies all at every start and keeps no "
				      "position, leave one out",
				      names[k]);
}

/* The mapped form of filter, NULL if there is none. */
static const char *
map_filter(const struct conf_topic *t, const char *filter, char *out, size_t size)
{
	out[0] = '\0';
	return subject_map(t->target_subject_prefix, t->target_subject_remove, filter, out, size) < 0 ? NULL
												      : out;
}

static void
check_mapping(const struct conf_build *b, size_t i)
{
	const struct conf_topic *t = &b->conf->topics[i];
	const char *cause =
	    is_set(b, i, "target_subject_remove") ? "target_subject_remove" : "target_subject_prefix";
	char out[SUBJECT_MAX];

	for (size_t k = 0; k < t->filter_count; k++)
		if (map_filter(t, t->filter_subjects[k], out, sizeof out) == NULL)
			TOPIC_PROBLEM(b, i, cause,
				      "%s: makes \"%.200s\" of the filter \"%.200s\", which is no valid "
				      "subject, change the mapping or the filter",
				      cause, out, t->filter_subjects[k]);
}

static void
check_dead_letter(const struct conf_build *b, size_t i)
{
	const struct conf_topic *t = &b->conf->topics[i];
	char out[SUBJECT_MAX];

	if (t->on_reject == REJECT_DEAD_LETTER && *t->dead_letter_subject == '\0')
		TOPIC_PROBLEM(b, i, "on_reject",
			      "on_reject: dead_letter without dead_letter_subject, set it");
	for (size_t k = 0; k < t->filter_count && *t->dead_letter_subject != '\0'; k++) {
		const char *mapped = map_filter(t, t->filter_subjects[k], out, sizeof out);

		if (mapped == NULL || !subject_matches(mapped, t->dead_letter_subject))
			continue;
		TOPIC_PROBLEM(b, i, "dead_letter_subject",
			      "dead_letter_subject \"%.200s\": is among the copies (\"%.200s\"), want a "
			      "subject that the target stream does not store",
			      t->dead_letter_subject, mapped);
		return;
	}
}

static void
check_tls_first(const struct conf_build *b, size_t i, const char *option, const struct endpoint *ep)
{
	if (ep->tls_handshake_first && !ep->tls)
		TOPIC_PROBLEM(b, i, option, "%s: option tls_handshake_first without TLS, want tls://",
			      option);
}

static void
check_same_stream(const struct conf_build *b, size_t i, const struct checked_topic *c)
{
	const struct conf_topic *t = c->topic;
	const char *place = is_set(b, i, "target_stream") ? "target_stream" : "target_url";

	if (*t->stream == '\0' || strcmp(t->stream, t->target_stream) != 0 ||
	    strcmp(t->source_domain, t->target_domain) != 0 || !endpoint_same_system(&c->source, &c->target))
		return;
	TOPIC_PROBLEM(b, i, place,
		      "%s: source and target are the same stream \"%s\" of the same system, change "
		      "target_url or target_stream",
		      place, t->stream);
}

static void
check_name(const struct conf_build *b, size_t i)
{
	const struct conf_topic *t = &b->conf->topics[i];

	if (!is_set(b, i, "name") && strlen(t->name) > SUBJECT_NAME_MAX)
		TOPIC_PROBLEM(b, i, "name", "name: the default of title and stream is too long, set one");
}

/* What a worker is sent has to fit into one frame. */
static void
check_size(const struct conf_build *b, size_t i)
{
	struct strbuf out;

	strbuf_init(&out);
	conf_print(b->conf, &b->conf->topics[i], CONF_PRINT_SECRET, &out);
	if (out.len > PROTO_MAX_PAYLOAD)
		conf_scan_section_problem(b->scan, b->topic_sections[i],
					  "larger than %d bytes, use fewer filters", PROTO_MAX_PAYLOAD);
	strbuf_fini(&out);
}

static void
begin_topic(struct checked_topic *c, const struct conf_topic *t)
{
	c->topic = t;
	c->key_hash = text_hash(t->key, strlen(t->key));
	c->name_hash = text_hash(t->name, strlen(t->name));
}

static void
parse_endpoints(struct checked_topic *c)
{
	if (endpoint_parse(c->topic->source_url, &c->topic->source_tls, &c->source, NULL) == 0) {
		c->connectable =
		    endpoint_parse(c->topic->target_url, &c->topic->target_tls, &c->target, NULL) == 0;
		if (!c->connectable)
			endpoint_fini(&c->source);
	}
}

static void
check_topic(const struct conf_build *b, size_t i, const struct checked_topic *c)
{
	check_start(b, i);
	check_ephemeral(b, i);
	check_mapping(b, i);
	check_dead_letter(b, i);
	check_name(b, i);
	conf_check_sampling(b, i);
	check_size(b, i);
	if (!c->connectable)
		return;
	check_tls_first(b, i, "source_url", &c->source);
	check_tls_first(b, i, "target_url", &c->target);
	check_same_stream(b, i, c);
}

static size_t
problem_count(const struct conf_build *b)
{
	return b->scan->report->count + b->scan->report->omitted;
}

/* The first of its section. */
static bool
is_first(const struct conf_build *b, size_t i)
{
	return i == 0 || b->topic_sections[i] != b->topic_sections[i - 1];
}

/* Of partitions with the same problem the first one reports it. */
static void
check_topics(const struct conf_build *b, struct checked_topic *topics)
{
	size_t before = 0;

	for (size_t i = 0; i < b->topic_count; i++) {
		begin_topic(&topics[i], &b->conf->topics[i]);
		parse_endpoints(&topics[i]);
		if (is_first(b, i)) {
			conf_partition_check(b, b->topic_sections[i]);
			before = problem_count(b);
		}
		if (problem_count(b) == before)
			check_topic(b, i, &topics[i]);
	}
}

/* ---- one topic beside another ---------------------------------------------------------------------- */

/* Consumers of one stream need different names. */
static void
check_pair_name(const struct conf_build *b, size_t i, const struct checked_topic *a,
		const struct checked_topic *c)
{
	if (a->name_hash != c->name_hash || strcmp(a->topic->name, c->topic->name) != 0 ||
	    strcmp(a->topic->stream, c->topic->stream) != 0 ||
	    strcmp(a->topic->source_domain, c->topic->source_domain) != 0 ||
	    !endpoint_same_system(&a->source, &c->source))
		return;
	TOPIC_PROBLEM(b, i, "name",
		      "name \"%s\": topic \"%.100s\" has the same on the same source stream, set another",
		      c->topic->name, a->topic->key);
}

/* An exclusive writer numbers its messages by the stream's: nobody else may write there. */
static void
check_pair_target(const struct conf_build *b, size_t i, const struct checked_topic *a,
		  const struct checked_topic *c)
{
	bool exclusive = a->topic->target_writers == TARGET_WRITERS_EXCLUSIVE ||
			 c->topic->target_writers == TARGET_WRITERS_EXCLUSIVE;
	const char *place =
	    c->topic->target_writers == TARGET_WRITERS_EXCLUSIVE ? "target_writers" : "target_stream";

	if (!exclusive || strcmp(a->topic->target_stream, c->topic->target_stream) != 0 ||
	    strcmp(a->topic->target_domain, c->topic->target_domain) != 0 ||
	    !endpoint_same_system(&a->target, &c->target))
		return;
	if (a->topic != c->topic && strcmp(a->topic->group, c->topic->group) == 0) {
		TOPIC_PROBLEM(
		    b, i, place,
		    "%s: partitions copy into the same target stream \"%s\" and are exclusive, want "
		    "shared, or {{partition}} in target_stream",
		    place, c->topic->target_stream);
		return;
	}
	TOPIC_PROBLEM(b, i, place,
		      "%s: topic \"%.100s\" copies into the same target stream \"%s\" and one of the two is "
		      "exclusive, want target_writers = shared in both",
		      place, a->topic->key, c->topic->target_stream);
}

/* A partition gets a name that another topic may have been given. */
static void
check_pair_key(const struct conf_build *b, const struct checked_topic *topics, size_t i, size_t k)
{
	const struct conf_topic *a = topics[k].topic, *c = topics[i].topic;

	if (topics[i].key_hash != topics[k].key_hash || strcmp(a->key, c->key) != 0 ||
	    strcmp(a->group, c->group) == 0)
		return;
	conf_scan_section_problem(b->scan, b->topic_sections[i],
				  "there is a topic \"%.200s\" already by topic \"%.200s\", give one "
				  "another name",
				  c->key, a->group);
}

static void
check_pair(const struct conf_build *b, const struct checked_topic *topics, size_t i, size_t k)
{
	if (!topics[i].connectable || !topics[k].connectable)
		return;
	if (b->topic_sections[i] != b->topic_sections[k]) /* else conf_partition_check() has told */
		check_pair_name(b, i, &topics[k], &topics[i]);
	check_pair_target(b, i, &topics[k], &topics[i]);
}

/* With those before it; of partitions, one that has a problem stands for all. */
static void
check_pairs_of(const struct conf_build *b, const struct checked_topic *topics, size_t i)
{
	size_t before = 0;

	for (size_t k = 0; k < i; k++) {
		if (is_first(b, k))
			before = problem_count(b);
		if (problem_count(b) == before)
			check_pair(b, topics, i, k);
	}
}

static void
check_pairs(const struct conf_build *b, const struct checked_topic *topics)
{
	size_t before = 0;

	for (size_t i = 0; i < b->topic_count; i++) {
		for (size_t k = 0; k < i; k++)
			check_pair_key(b, topics, i, k);
		if (is_first(b, i))
			before = problem_count(b);
		if (problem_count(b) == before)
			check_pairs_of(b, topics, i);
	}
}

/* ---- whole ----------------------------------------------------------------------------------------- */

static void
check_control_socket(const struct conf_build *b)
{
	struct sockaddr_un address;
	const struct conf_built_section *top = &b->sections[0];
	size_t own = top->set_at[conf_option_find(CONF_TOP, "control_socket") - conf_options];
	size_t folder = top->set_at[conf_option_find(CONF_TOP, "state_dir") - conf_options];

	if (strlen(b->conf->control_socket) < sizeof address.sun_path)
		return;
	conf_scan_problem(b->scan, own != CONF_NONE ? own : folder,
			  "%s: the path of the control socket is longer than %zu bytes, set %scontrol_socket",
			  own != CONF_NONE ? "control_socket" : "state_dir", sizeof address.sun_path - 1,
			  own != CONF_NONE ? "a shorter " : "");
}

void
conf_check(const struct conf_build *b)
{
	struct checked_topic *topics = xcalloc(b->topic_count + 1, sizeof *topics);

	check_control_socket(b);
	check_topics(b, topics);
	check_pairs(b, topics);
	conf_check_election(b);
	for (size_t i = 0; i < b->topic_count; i++) {
		if (!topics[i].connectable)
			continue;
		endpoint_fini(&topics[i].source);
		endpoint_fini(&topics[i].target);
	}
	free(topics);
}
