/*
 * Making a copy of a source message; runs in a replicating worker.
 *
 * The order of lines is fixed: the chain's or the duplicate window's line, our origin, what the source
 * message had, the path. Ours first, because server 2.9 looks for the first occurrence of a name anywhere
 * in the headers (a source message with the name in some value would switch the check off), and because
 * the source's block may hold an empty line, where many readers stop. The path is last, as the client
 * library wants a last line of the usual form. A line costs a memcpy; numbers are written without printf.
 */
#include "worker/compose.h"

#include <stdlib.h>
#include <string.h>

#include "common/origin.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

#define EXPECTED_LAST_LINE "Nats-Expected-Last-Sequence: "
#define MSG_ID_LINE        "Nats-Msg-Id: "
#define VALUE_LINE         ORIGIN_VALUE_HEADER ": "

struct composer {
	const struct conf *conf;
	const struct conf_topic *topic;
	struct header_policy policy;
	struct strbuf lines;
	struct strbuf origin_head; /* "Choria-SR-Source: STREAM " */
	struct strbuf origin_mid;  /* " SITE TOPIC " */
	struct strbuf path;        /* the path line of a message that had none */
	struct strbuf msg_id_head; /* "Nats-Msg-Id: SITE:TOPIC:CREATED:" */
	bool map_subjects;
	char subject[SUBJECT_MAX];
};

struct composer *
compose_new(const struct conf *conf, const struct conf_topic *topic)
{
	struct composer *c = xcalloc(1, sizeof *c);

	c->conf = conf;
	c->topic = topic;
	strbuf_init(&c->lines);
	strbuf_init(&c->origin_head);
	strbuf_init(&c->origin_mid);
	strbuf_init(&c->path);
	strbuf_init(&c->msg_id_head);
	strbuf_addf(&c->origin_head, "%s: %s ", ORIGIN_HEADER, topic->stream);
	strbuf_addf(&c->origin_mid, " %s %s ", conf->name, topic->key);
	strbuf_addf(&c->path, "%s: %s\r\n", ORIGIN_PATH_HEADER, conf->name);
	c->map_subjects = topic->target_subject_prefix[0] != '\0' || topic->target_subject_remove[0] != '\0';
	return c;
}

void
compose_free(struct composer **cp)
{
	struct composer *c = *cp;

	if (c == NULL)
		return;
	strbuf_fini(&c->lines);
	strbuf_fini(&c->origin_head);
	strbuf_fini(&c->origin_mid);
	strbuf_fini(&c->path);
	strbuf_fini(&c->msg_id_head);
	free(c);
	*cp = NULL;
}

void
compose_set_policy(struct composer *c, const struct header_policy *policy)
{
	c->policy = *policy;
}

void
compose_set_source_created(struct composer *c, int64_t created_ns)
{
	strbuf_reset(&c->msg_id_head);
	strbuf_addf(&c->msg_id_head, "%s%s:%s:%lld:", MSG_ID_LINE, c->conf->name, c->topic->key,
		    (long long)created_ns);
}

const char *
compose_subject(struct composer *c, const char *source_subject)
{
	if (!c->map_subjects)
		return source_subject;
	if (subject_map(c->topic->target_subject_prefix, c->topic->target_subject_remove, source_subject,
			c->subject, sizeof c->subject) < 0)
		return NULL;
	return c->subject;
}

static void
add_number(struct strbuf *out, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	strbuf_add(out, digits + i, sizeof digits - i);
}

static void
add_origin(struct composer *c, const struct compose_source *m)
{
	strbuf_add(&c->lines, c->origin_head.data, c->origin_head.len);
	add_number(&c->lines, m->seq);
	strbuf_add(&c->lines, c->origin_mid.data, c->origin_mid.len);
	add_number(&c->lines, (uint64_t)m->stored_ms);
	strbuf_add(&c->lines, "\r\n", 2);
	if (m->value == NULL)
		return;
	strbuf_add(&c->lines, VALUE_LINE, sizeof VALUE_LINE - 1);
	strbuf_adds(&c->lines, m->value);
	strbuf_add(&c->lines, "\r\n", 2);
}

/* The source's lines and the path; -1, with nothing added, if they cannot be carried. */
static int
add_carried_lines(struct composer *c, const struct compose_source *m)
{
	if (m->headers == NULL) {
		strbuf_add(&c->lines, c->path.data, c->path.len);
		return 0;
	}
	if (header_copy_lines(&c->policy, m->headers, m->headers_len, &c->lines) != 0)
		return -1;
	header_path_append(m->headers, m->headers_len, c->conf->name, &c->lines);
	return 0;
}

static void
add_line_with_number(struct strbuf *out, const char *head, size_t head_len, uint64_t n)
{
	strbuf_add(out, head, head_len);
	add_number(out, n);
	strbuf_add(out, "\r\n", 2);
}

const char *
compose_headers(struct composer *c, const struct compose_source *m, enum compose_mode mode,
		uint64_t expected_last, size_t *len)
{
	strbuf_reset(&c->lines);
	if (mode == COMPOSE_CHAIN)
		add_line_with_number(&c->lines, EXPECTED_LAST_LINE, sizeof EXPECTED_LAST_LINE - 1,
				     expected_last);
	else
		add_line_with_number(&c->lines, c->msg_id_head.data, c->msg_id_head.len, m->seq);
	add_origin(c, m);
	if (add_carried_lines(c, m) != 0)
		return NULL;
	*len = c->lines.len;
	return c->lines.data;
}

/* A reason may be what a server said: whatever it holds, it stays one line. */
static void
add_reason(struct strbuf *out, const char *reason)
{
	strbuf_adds(out, COMPOSE_REJECT_REASON_HEADER ": ");
	for (; *reason != '\0'; reason++)
		strbuf_add(out, (unsigned char)*reason < ' ' ? " " : reason, 1);
	strbuf_add(out, "\r\n", 2);
}

const char *
compose_dead_letter(struct composer *c, const struct compose_source *m, const char *reason, size_t *len)
{
	strbuf_reset(&c->lines);
	add_line_with_number(&c->lines, c->msg_id_head.data, c->msg_id_head.len, m->seq);
	add_origin(c, m);
	add_reason(&c->lines, reason);
	strbuf_addf(&c->lines, "%s: %s\r\n", COMPOSE_REJECT_SUBJECT_HEADER, m->subject);
	/* A block that cannot be carried is what made some of these messages dead letters. */
	(void)add_carried_lines(c, m);
	*len = c->lines.len;
	return c->lines.data;
}

bool
compose_is_loop(const struct composer *c, const char *headers, size_t len)
{
	if (headers == NULL)
		return false;
	return header_path_has(headers, len, c->conf->name) ||
	       (c->topic->target_name[0] != '\0' && header_path_has(headers, len, c->topic->target_name));
}
