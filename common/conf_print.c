/*
 * The configuration as text, from the option table: for people with secrets masked, and whole for a worker's
 * pipe. What is printed parses to the same configuration; printing that gives the same text.
 */
#include "common/conf.h"

#include "common/conf_lex.h"
#include "common/conf_options.h"
#include "common/conf_value.h"
#include "common/text.h"

/* Of a topic that is not sampled nothing is printed that only such a one may have. */
static bool
is_printed(const struct conf_option *o, enum conf_section_kind kind, const void *base, unsigned int flags)
{
	const struct conf_topic *topic = base;

	if (o->kind != kind || (o->flags & (CONF_LATER | CONF_OLD)) != 0)
		return false;
	if ((o->flags & CONF_SAMPLED) != 0 && topic->sampling.inspect == INSPECT_NONE)
		return false;
	return flags == 0 || (o->flags & flags) != 0;
}

/* flags: only settings that have any of them; 0 for all. */
static void
print_options(enum conf_section_kind kind, const void *base, unsigned int flags, enum conf_print_mode mode,
	      const char *indent, struct strbuf *out)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];
		size_t start = out->len;

		if (!is_printed(o, kind, base, flags))
			continue;
		strbuf_addf(out, "%s%s = ", indent, o->name);
		if (o->type->print(o, base, mode, out)) {
			strbuf_adds(out, "\n");
		} else {
			out->len = start;
			out->data[start] = '\0';
		}
	}
}

static void
print_tls(const char *name, const struct conf_tls *tls, enum conf_print_mode mode, const char *indent,
	  const char *inner, struct strbuf *out)
{
	if (!tls->set)
		return;
	strbuf_addf(out, "%s%s {\n", indent, name);
	print_options(CONF_TLS, tls, 0, mode, inner, out);
	strbuf_addf(out, "%s}\n", indent);
}

static void
print_advisory(const struct conf_topic *t, enum conf_print_mode mode, struct strbuf *out)
{
	if (!t->sampling.advisory.set)
		return;
	strbuf_adds(out, "\tadvisory {\n");
	print_options(CONF_ADVISORY, t, 0, mode, "\t\t", out);
	strbuf_adds(out, "\t}\n");
}

static void
print_topic(const struct conf_topic *t, unsigned int flags, enum conf_print_mode mode, struct strbuf *out)
{
	strbuf_adds(out, "\ntopic ");
	conf_lex_quote(t->key, out);
	strbuf_adds(out, " {\n");
	print_options(CONF_TOPIC, t, flags, mode, "\t", out);
	if (flags == 0)
		print_advisory(t, mode, out);
	print_tls("source_tls", &t->source_tls, mode, "\t", "\t\t", out);
	print_tls("target_tls", &t->target_tls, mode, "\t", "\t\t", out);
	strbuf_adds(out, "}\n");
}

static void
print_election(const struct conf_election *e, enum conf_print_mode mode, struct strbuf *out)
{
	strbuf_adds(out, "\nelection {\n");
	print_options(CONF_ELECTION, e, 0, mode, "\t", out);
	print_tls("tls", &e->tls, mode, "\t", "\t\t", out);
	strbuf_adds(out, "}\n");
}

static void
print_titled(const char *name, const char *title, const char *indent, struct strbuf *out)
{
	strbuf_addf(out, "%s%s ", indent, name);
	conf_lex_quote(title, out);
	strbuf_adds(out, " {\n");
}

static void
print_headers(const struct conf_header *headers, size_t count, enum conf_print_mode mode, const char *indent,
	      const char *inner, struct strbuf *out)
{
	for (size_t i = 0; i < count; i++) {
		print_titled("header", headers[i].name, indent, out);
		print_options(CONF_HEARTBEAT_HEADER, &headers[i], 0, mode, inner, out);
		strbuf_addf(out, "%s}\n", indent);
	}
}

static void
print_subjects(const struct conf_heartbeat *h, enum conf_print_mode mode, struct strbuf *out)
{
	for (size_t i = 0; i < h->subject_count; i++) {
		const struct conf_heartbeat_subject *s = &h->subjects[i];

		print_titled("subject", s->subject, "\t", out);
		print_options(CONF_HEARTBEAT_SUBJECT, s, 0, mode, "\t\t", out);
		print_headers(s->headers, s->header_count, mode, "\t\t", "\t\t\t", out);
		strbuf_adds(out, "\t}\n");
	}
}

static void
print_heartbeat(const struct conf_heartbeat *h, enum conf_print_mode mode, struct strbuf *out)
{
	strbuf_adds(out, "\nheartbeat {\n");
	print_options(CONF_HEARTBEAT, h, 0, mode, "\t", out);
	print_tls("tls", &h->tls, mode, "\t", "\t\t", out);
	print_headers(h->headers, h->header_count, mode, "\t", "\t\t", out);
	print_subjects(h, mode, out);
	strbuf_adds(out, "}\n");
}

static bool
is_elected(const struct conf *c)
{
	for (size_t i = 0; i < c->topic_count; i++)
		if (*c->topics[i].leader_election_name != '\0')
			return true;
	return c->heartbeat.leader_election;
}

static void
print_top(const struct conf *c, enum conf_print_mode mode, struct strbuf *out)
{
	print_options(CONF_TOP, c, 0, mode, "", out);
	print_tls("tls", &c->tls, mode, "", "\t", out);
}

void
conf_print(const struct conf *c, const struct conf_topic *topic, enum conf_print_mode mode,
	   struct strbuf *out)
{
	print_top(c, mode, out);
	if (topic != NULL) {
		print_topic(topic, 0, mode, out);
		return;
	}
	if (c->election.set || is_elected(c))
		print_election(&c->election, mode, out);
	if (c->heartbeat.set)
		print_heartbeat(&c->heartbeat, mode, out);
	for (size_t i = 0; i < c->topic_count; i++)
		print_topic(&c->topics[i], 0, mode, out);
}

void
conf_print_heartbeat(const struct conf *c, struct strbuf *out)
{
	print_top(c, CONF_PRINT_SECRET, out);
	if (c->heartbeat.set)
		print_heartbeat(&c->heartbeat, CONF_PRINT_SECRET, out);
}

/* A heartbeat has to have a subject. */
static void
print_elected_heartbeat(const struct conf_heartbeat *h, struct strbuf *out)
{
	strbuf_adds(out, "\nheartbeat {\n");
	print_options(CONF_HEARTBEAT, h, CONF_ELECT, CONF_PRINT_SECRET, "\t", out);
	print_tls("tls", &h->tls, CONF_PRINT_SECRET, "\t", "\t\t", out);
	if (h->subject_count > 0) {
		print_titled("subject", h->subjects[0].subject, "\t", out);
		strbuf_adds(out, "\t}\n");
	}
	strbuf_adds(out, "}\n");
}

void
conf_print_elections(const struct conf *c, const struct conf_topic *const *topics, size_t topic_count,
		     bool heartbeat, struct strbuf *out)
{
	print_options(CONF_TOP, c, CONF_ELECT, CONF_PRINT_SECRET, "", out);
	print_election(&c->election, CONF_PRINT_SECRET, out);
	if (heartbeat)
		print_elected_heartbeat(&c->heartbeat, out);
	for (size_t i = 0; i < topic_count; i++)
		print_topic(topics[i], CONF_ELECT | CONF_MAP, CONF_PRINT_SECRET, out);
}

bool
conf_topic_equal(const struct conf *a, const struct conf_topic *ta, const struct conf *b,
		 const struct conf_topic *tb)
{
	struct strbuf text_a, text_b;
	bool equal;

	strbuf_init(&text_a);
	strbuf_init(&text_b);
	strbuf_adds(&text_a, a->name);
	strbuf_adds(&text_b, b->name);
	print_topic(ta, 0, CONF_PRINT_SECRET, &text_a);
	print_topic(tb, 0, CONF_PRINT_SECRET, &text_b);
	equal = strbuf_equal(&text_a, &text_b);
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
	return equal;
}

bool
conf_heartbeat_equal(const struct conf *a, const struct conf *b)
{
	struct strbuf text_a, text_b;
	bool equal;

	strbuf_init(&text_a);
	strbuf_init(&text_b);
	strbuf_adds(&text_a, a->name);
	strbuf_adds(&text_b, b->name);
	print_heartbeat(&a->heartbeat, CONF_PRINT_SECRET, &text_a);
	print_heartbeat(&b->heartbeat, CONF_PRINT_SECRET, &text_b);
	equal = a->heartbeat.set == b->heartbeat.set && strbuf_equal(&text_a, &text_b);
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
	return equal;
}

uint64_t
conf_map_hash(const struct conf *c, const struct conf_topic *topic)
{
	struct strbuf text;
	uint64_t hash;

	strbuf_init(&text);
	conf_lex_quote(c->name, &text);
	conf_lex_quote(topic->key, &text);
	print_options(CONF_TOPIC, topic, CONF_MAP, CONF_PRINT_SECRET, "", &text);
	hash = text_hash(text.data, text.len);
	strbuf_fini(&text);
	return hash;
}

void
conf_restart_needed(const struct conf *a, const struct conf *b, struct strbuf *out)
{
	struct strbuf text_a, text_b;

	strbuf_init(&text_a);
	strbuf_init(&text_b);
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind != CONF_TOP || o->reload != CONF_RELOAD_RESTART || (o->flags & CONF_LATER) != 0)
			continue;
		strbuf_reset(&text_a);
		strbuf_reset(&text_b);
		o->type->print(o, a, CONF_PRINT_SECRET, &text_a);
		o->type->print(o, b, CONF_PRINT_SECRET, &text_b);
		if (!strbuf_equal(&text_a, &text_b))
			strbuf_addf(out, "%s%s", out->len > 0 ? ", " : "", o->name);
	}
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
}
