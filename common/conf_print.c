/*
 * The configuration as text, from the option table: for people with secrets masked, and whole for a worker's
 * pipe. What is printed parses to the same configuration; printing that gives the same text.
 */
#include "common/conf.h"

#include "common/conf_lex.h"
#include "common/conf_options.h"
#include "common/conf_value.h"

/* flags: only settings that have them; 0 for all. */
static void
print_options(enum conf_section_kind kind, const void *base, unsigned int flags, enum conf_print_mode mode,
	      const char *indent, struct strbuf *out)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		const struct conf_option *o = &conf_options[i];
		size_t start = out->len;

		if (o->kind != kind || (o->flags & CONF_LATER) != 0 || (o->flags & flags) != flags)
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
print_topic(const struct conf_topic *t, enum conf_print_mode mode, struct strbuf *out)
{
	strbuf_adds(out, "\ntopic ");
	conf_lex_quote(t->key, out);
	strbuf_adds(out, " {\n");
	print_options(CONF_TOPIC, t, 0, mode, "\t", out);
	print_tls("source_tls", &t->source_tls, mode, "\t", "\t\t", out);
	print_tls("target_tls", &t->target_tls, mode, "\t", "\t\t", out);
	strbuf_adds(out, "}\n");
}

void
conf_print(const struct conf *c, const struct conf_topic *topic, enum conf_print_mode mode,
	   struct strbuf *out)
{
	print_options(CONF_TOP, c, 0, mode, "", out);
	print_tls("tls", &c->tls, mode, "", "\t", out);
	if (topic != NULL) {
		print_topic(topic, mode, out);
		return;
	}
	for (size_t i = 0; i < c->topic_count; i++)
		print_topic(&c->topics[i], mode, out);
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
	print_topic(ta, CONF_PRINT_SECRET, &text_a);
	print_topic(tb, CONF_PRINT_SECRET, &text_b);
	equal = strbuf_equal(&text_a, &text_b);
	strbuf_fini(&text_a);
	strbuf_fini(&text_b);
	return equal;
}

/* FNV-1a */
static uint64_t
hash_text(const struct strbuf *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < text->len; i++) {
		hash ^= (unsigned char)text->data[i];
		hash *= UINT64_C(1099511628211);
	}
	return hash;
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
	hash = hash_text(&text);
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
