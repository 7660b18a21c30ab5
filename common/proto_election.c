/*
 * Payloads of the pipe protocol for elections: encoders and decoders in pairs, like those in
 * proto_payload.c. Pure; used by both sides. Invariant: a decoder takes every byte and checks every value, or
 * refuses the whole payload and leaves nothing to free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "common/proto_bytes.h"
#include "common/xalloc.h"

static int
refuse(const char *what, size_t len, struct error *e)
{
	return error_set(e, ERR_PROTOCOL, "payload of %s, %zu bytes: malformed", what, len);
}

static void
drop(char **text)
{
	free(*text);
	*text = NULL;
}

/* A name's key is never empty. */
static bool
good_key(const struct bytes *in, const char *key)
{
	return bytes_end(in) && key[0] != '\0';
}

void
proto_role_encode(struct strbuf *out, const struct proto_role *v)
{
	bytes_put_u64(out, v->serial);
	bytes_put_u8(out, v->leader);
	bytes_put_u64(out, v->term);
	bytes_put_u64(out, (uint64_t)v->lease_end_ns);
	bytes_put_u8(out, v->map_in_doubt);
	bytes_put_u8(out, v->settle);
}

int
proto_role_decode(const uint8_t *data, size_t len, struct proto_role *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->serial = bytes_get_u64(&in);
	v->leader = bytes_get_bool(&in);
	v->term = bytes_get_u64(&in);
	v->lease_end_ns = (int64_t)bytes_get_u64(&in);
	v->map_in_doubt = bytes_get_bool(&in);
	v->settle = bytes_get_bool(&in);
	return bytes_end(&in) ? 0 : refuse("ROLE", len, e);
}

void
proto_role_done_encode(struct strbuf *out, uint64_t serial)
{
	bytes_put_u64(out, serial);
}

int
proto_role_done_decode(const uint8_t *data, size_t len, uint64_t *serial, struct error *e)
{
	struct bytes in = {data, len, false};

	*serial = bytes_get_u64(&in);
	return bytes_end(&in) ? 0 : refuse("ROLE_DONE", len, e);
}

void
proto_elect_encode(struct strbuf *out, const struct proto_elect *v)
{
	bytes_put_text(out, v->nonce, sizeof v->nonce - 1);
	bytes_put_text(out, v->node, sizeof v->node - 1);
}

int
proto_elect_decode(const uint8_t *data, size_t len, struct proto_elect *v, struct error *e)
{
	struct bytes in = {data, len, false};
	char *nonce = bytes_get_text(&in, sizeof v->nonce - 1);
	char *node = bytes_get_text(&in, sizeof v->node - 1);
	bool good = bytes_end(&in) && strlen(nonce) == sizeof v->nonce - 1 &&
		    strspn(nonce, "0123456789abcdef") == sizeof v->nonce - 1;

	snprintf(v->nonce, sizeof v->nonce, "%s", nonce);
	snprintf(v->node, sizeof v->node, "%s", node);
	free(nonce);
	free(node);
	return good ? 0 : refuse("ELECT", len, e);
}

void
proto_name_encode(struct strbuf *out, const struct proto_name *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
}

int
proto_name_decode(const uint8_t *data, size_t len, struct proto_name *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	if (good_key(&in, v->key))
		return 0;
	proto_name_fini(v);
	return refuse("a name", len, e);
}

void
proto_name_fini(struct proto_name *n)
{
	drop(&n->key);
}

void
proto_able_encode(struct strbuf *out, const struct proto_able *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
	bytes_put_u8(out, v->able);
}

int
proto_able_decode(const uint8_t *data, size_t len, struct proto_able *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	v->able = bytes_get_bool(&in);
	if (good_key(&in, v->key))
		return 0;
	proto_able_fini(v);
	return refuse("ABLE", len, e);
}

void
proto_able_fini(struct proto_able *a)
{
	drop(&a->key);
}

void
proto_term_encode(struct strbuf *out, const struct proto_term *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
	bytes_put_u64(out, v->term);
}

int
proto_term_decode(const uint8_t *data, size_t len, struct proto_term *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	v->term = bytes_get_u64(&in);
	if (good_key(&in, v->key))
		return 0;
	proto_term_fini(v);
	return refuse("a term", len, e);
}

void
proto_term_fini(struct proto_term *t)
{
	drop(&t->key);
}

void
proto_won_encode(struct strbuf *out, const struct proto_won *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
	bytes_put_u64(out, v->term);
	bytes_put_u64(out, (uint64_t)v->lease_end_ns);
	bytes_put_u8(out, v->map_in_doubt);
}

int
proto_won_decode(const uint8_t *data, size_t len, struct proto_won *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	v->term = bytes_get_u64(&in);
	v->lease_end_ns = (int64_t)bytes_get_u64(&in);
	v->map_in_doubt = bytes_get_bool(&in);
	if (good_key(&in, v->key))
		return 0;
	proto_won_fini(v);
	return refuse("WON", len, e);
}

void
proto_won_fini(struct proto_won *w)
{
	drop(&w->key);
}

void
proto_lost_encode(struct strbuf *out, const struct proto_lost *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
	bytes_put_u64(out, v->term);
	bytes_put_text(out, v->reason, PROTO_MAX_TEXT);
}

int
proto_lost_decode(const uint8_t *data, size_t len, struct proto_lost *v, struct error *e)
{
	struct bytes in = {data, len, false};

	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	v->term = bytes_get_u64(&in);
	v->reason = bytes_get_text(&in, PROTO_MAX_TEXT);
	if (good_key(&in, v->key))
		return 0;
	proto_lost_fini(v);
	return refuse("LOST", len, e);
}

void
proto_lost_fini(struct proto_lost *l)
{
	drop(&l->key);
	drop(&l->reason);
}

/* ---- what is shown of an election ------------------------------------------------------------------ */

static void
put_candidates(struct strbuf *out, const struct proto_election *v)
{
	size_t count = v->present_count < PROTO_MAX_CANDIDATES ? v->present_count : PROTO_MAX_CANDIDATES;

	bytes_put_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct proto_candidate *c = &v->present[i];

		bytes_put_text(out, c->node, PROTO_MAX_NAME);
		bytes_put_text(out, c->site, PROTO_MAX_NAME);
		bytes_put_u32(out, c->pid);
		bytes_put_u32(out, c->leads);
		bytes_put_u8(out, c->self);
	}
}

static void
get_candidates(struct bytes *in, struct proto_election *v)
{
	uint32_t count = bytes_get_u32(in);

	if (count > PROTO_MAX_CANDIDATES) {
		in->bad = true;
		return;
	}
	v->present = xcalloc(count + 1, sizeof *v->present);
	v->present_count = count;
	for (size_t i = 0; i < count; i++) {
		struct proto_candidate *c = &v->present[i];

		c->node = bytes_get_text(in, PROTO_MAX_NAME);
		c->site = bytes_get_text(in, PROTO_MAX_NAME);
		c->pid = bytes_get_u32(in);
		c->leads = bytes_get_u32(in);
		c->self = bytes_get_bool(in);
	}
}

void
proto_election_encode(struct strbuf *out, const struct proto_election *v)
{
	bytes_put_text(out, v->key, PROTO_MAX_NAME);
	bytes_put_u8(out, v->leads);
	bytes_put_u64(out, v->term);
	bytes_put_text(out, v->leader, PROTO_MAX_NAME);
	bytes_put_text(out, v->site, PROTO_MAX_NAME);
	bytes_put_u32(out, v->pid);
	bytes_put_u64(out, (uint64_t)v->since_ms);
	bytes_put_u64(out, (uint64_t)v->lease_end_ns);
	bytes_put_text(out, v->problem, PROTO_MAX_TEXT);
	bytes_put_u64(out, v->campaigns);
	put_candidates(out, v);
}

int
proto_election_decode(const uint8_t *data, size_t len, struct proto_election *v, struct error *e)
{
	struct bytes in = {data, len, false};

	memset(v, 0, sizeof *v);
	v->key = bytes_get_text(&in, PROTO_MAX_NAME);
	v->leads = bytes_get_bool(&in);
	v->term = bytes_get_u64(&in);
	v->leader = bytes_get_text(&in, PROTO_MAX_NAME);
	v->site = bytes_get_text(&in, PROTO_MAX_NAME);
	v->pid = bytes_get_u32(&in);
	v->since_ms = (int64_t)bytes_get_u64(&in);
	v->lease_end_ns = (int64_t)bytes_get_u64(&in);
	v->problem = bytes_get_text(&in, PROTO_MAX_TEXT);
	v->campaigns = bytes_get_u64(&in);
	get_candidates(&in, v);
	if (good_key(&in, v->key))
		return 0;
	proto_election_fini(v);
	return refuse("ELECTION", len, e);
}

void
proto_election_fini(struct proto_election *e)
{
	for (size_t i = 0; i < e->present_count; i++) {
		free(e->present[i].node);
		free(e->present[i].site);
	}
	free(e->present);
	e->present = NULL;
	e->present_count = 0;
	drop(&e->key);
	drop(&e->leader);
	drop(&e->site);
	drop(&e->problem);
}
