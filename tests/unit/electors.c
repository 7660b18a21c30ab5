/* Electors with stand-ins for their supervisors, and a person beside them. */
#include "tests/unit/electors.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nats/ask.h"
#include "common/nats/jsapi.h"
#include "common/strbuf.h"
#include "tests/unit/loop.h"

static struct node *nodes[NODES_MAX]; /* that were started, for the check of gains */

struct node_name *
node_name(struct node *n, const char *key)
{
	for (size_t i = 0; i < n->name_count; i++)
		if (strcmp(n->names[i].key, key) == 0)
			return &n->names[i];
	ck_abort_msg("no name %s", key);
	return NULL;
}

bool
node_holds(struct node *n, const char *key)
{
	const struct node_name *name = node_name(n, key);

	return name->holds && !mono_reached(mono_now(), name->lease_end);
}

int
node_held(const struct node *n)
{
	int held = 0;

	for (size_t i = 0; i < n->name_count; i++)
		held += n->names[i].holds && !mono_reached(mono_now(), n->names[i].lease_end);
	return held;
}

/* ---- what the elector reports ---------------------------------------------------------------------- */

static void
on_state(void *arg, enum worker_state state, const char *reason)
{
	struct node *n = arg;

	n->state = state;
	snprintf(n->reason, sizeof n->reason, "%s", reason);
}

static void
nobody_else(const struct node *winner, const char *key)
{
	for (int i = 0; i < NODES_MAX; i++)
		if (nodes[i] != NULL && nodes[i] != winner && nodes[i]->name_count > 0)
			ck_assert_msg(!node_holds(nodes[i], key), "two nodes hold %s", key);
}

static void
on_won(void *arg, const struct proto_won *won)
{
	struct node *n = arg;
	struct node_name *name = node_name(n, won->key);
	struct mono end = {won->lease_end_ns};

	nobody_else(n, won->key);
	if (name->term == won->term && name->wins > name->losses) {
		ck_assert_int_ge(end.ns, name->lease_end.ns);
		name->renewals++;
	} else {
		ck_assert_uint_gt(won->term, 0);
		name->wins++;
		name->holds = true;
	}
	name->term = won->term;
	name->lease_end = end;
	name->map_in_doubt = won->map_in_doubt;
}

static void
on_lost(void *arg, const struct proto_lost *lost)
{
	struct node_name *name = node_name(arg, lost->key);

	ck_assert_uint_eq(name->term, lost->term);
	name->holds = false;
	name->losses++;
	snprintf(name->reason, sizeof name->reason, "%s", lost->reason);
}

struct settling {
	struct node *node;
	char key[64];
	uint64_t term;
};

static void
release(struct node *n, char *key, uint64_t term)
{
	const struct proto_term message = {.key = key, .term = term};

	node_name(n, key)->holds = false;
	elector_release(n->el, &message);
}

static void
settled(evutil_socket_t fd, short what, void *arg)
{
	struct settling *s = arg;

	(void)fd;
	(void)what;
	if (s->node->el != NULL)
		release(s->node, s->key, s->term);
	free(s);
}

static void
on_yield(void *arg, const struct proto_lost *yield)
{
	struct node *n = arg;
	struct node_name *name = node_name(n, yield->key);
	const struct timeval after = {n->settle_ms / 1000, n->settle_ms % 1000 * 1000};
	struct settling *s;

	name->yields++;
	snprintf(name->reason, sizeof name->reason, "%s", yield->reason);
	if (n->settle_ms == 0)
		release(n, yield->key, yield->term);
	if (n->settle_ms <= 0)
		return;
	s = calloc(1, sizeof *s);
	ck_assert_ptr_nonnull(s);
	s->node = n;
	snprintf(s->key, sizeof s->key, "%s", yield->key);
	s->term = yield->term;
	event_base_once(n->base, -1, EV_TIMEOUT, settled, s, &after);
}

static void
on_election(void *arg, const struct proto_election *e)
{
	struct node_name *name = node_name(arg, e->key);

	name->reports++;
	name->leads = e->leads;
	name->shown_term = e->term;
	name->pid = e->pid;
	name->since_ms = e->since_ms;
	name->lease_end_ns = e->lease_end_ns;
	name->present = e->present_count;
	name->self_leads = name->other_leads = 0;
	for (size_t i = 0; i < e->present_count; i++)
		*(e->present[i].self ? &name->self_leads : &name->other_leads) += e->present[i].leads;
	snprintf(name->leader, sizeof name->leader, "%s", e->leader);
	snprintf(name->site, sizeof name->site, "%s", e->site);
	snprintf(name->problem, sizeof name->problem, "%s", e->problem);
}

static void
on_incident(void *arg, const char *kind, const char *detail)
{
	struct node *n = arg;

	n->incidents++;
	snprintf(n->incident_kind, sizeof n->incident_kind, "%s", kind);
	snprintf(n->incident, sizeof n->incident, "%s", detail);
}

static void
on_drained(void *arg)
{
	struct node *n = arg;

	n->drained++;
}

/* ---- nodes ----------------------------------------------------------------------------------------- */

static struct conf *
configuration(const char *url, const char *site, int names, const char *extra)
{
	struct conf_errors errors = {0};
	struct strbuf text;
	struct conf *c;

	strbuf_init(&text);
	strbuf_addf(&text, "name = \"%s\"\nstate_dir = \"/nowhere\"\n%s\n", site, extra);
	for (int i = 0; i < names; i++)
		strbuf_addf(&text,
			    "topic t%d { stream = S source_url = \"%s\" target_url = \"nats://127.0.0.1:1\" "
			    "leader_election_name = N%d name = w%d }\n",
			    i, url, i, i);
	c = conf_load_text(text.data, text.len, &errors);
	ck_assert_msg(c != NULL, "%s", errors.count > 0 ? errors.text[0] : "");
	conf_errors_fini(&errors);
	strbuf_fini(&text);
	return c;
}

void
node_able(struct node *n, const char *key, bool able)
{
	struct node_name *name = node_name(n, key);
	const struct proto_able message = {.key = name->key, .able = able};

	elector_able(n->el, &message);
}

void
node_start_again(struct node *n)
{
	static const struct elector_reports reports = {on_state,    on_won,      on_lost,   on_yield,
						       on_election, on_incident, on_drained};
	struct error e = ERROR_INIT;

	n->el = elector_new(n->base, n->conf, &n->elect, &reports, n, &e);
	ck_assert_msg(n->el != NULL, "%s", e.text);
	for (size_t i = 0; i < n->name_count; i++)
		node_able(n, n->names[i].key, true);
	elector_start(n->el);
}

void
node_start(struct node *n, struct event_base *base, int number, const char *url, const char *site, int names,
	   const char *extra)
{
	*n = (struct node){.base = base, .settle_ms = 20};
	n->conf = configuration(url, site, names, extra);
	for (int i = 0; i < names; i++)
		snprintf(n->names[n->name_count++].key, sizeof n->names[0].key, "N%d", i);
	snprintf(n->elect.nonce, sizeof n->elect.nonce, "%016x", 0xabc0 + number);
	snprintf(n->elect.node, sizeof n->elect.node, "node%d", number);
	nodes[number] = n;
	node_start_again(n);
}

/* The supervisor takes the end of an elector for the loss of all its names. */
void
node_vanish(struct node *n)
{
	elector_free(&n->el);
	for (size_t i = 0; i < n->name_count; i++) {
		n->names[i].losses = n->names[i].wins;
		n->names[i].holds = false;
	}
}

void
node_stop(struct node *n)
{
	for (int i = 0; i < NODES_MAX; i++)
		if (nodes[i] == n)
			nodes[i] = NULL;
	elector_free(&n->el);
	conf_free(&n->conf);
}

/* ---- a person -------------------------------------------------------------------------------------- */

static void
person_up(void *arg)
{
	struct person *p = arg;

	p->up = true;
}

static void
person_down(void *arg, bool was_up, const char *reason)
{
	struct person *p = arg;

	(void)was_up;
	(void)reason;
	p->up = false;
}

void
person_start(struct person *p, struct event_base *base, const char *url)
{
	static const struct nats_conn_callbacks callbacks = {person_up, person_down, NULL, NULL};
	struct endpoint ep;
	struct error e = ERROR_INIT;

	*p = (struct person){.base = base};
	ck_assert_msg(endpoint_parse(url, NULL, &ep, &e) == 0, "%s", e.text);
	p->conn = nats_conn_new(base, &ep, "person", "unit test", &callbacks, p);
	endpoint_fini(&ep);
	nats_conn_start(p->conn);
	ck_assert(RUN_UNTIL(base, 5000, p->up));
}

void
person_stop(struct person *p)
{
	nats_conn_free(&p->conn);
}

struct answer {
	bool done;
	char text[512];
};

static void
on_answer(void *arg, enum nats_request_result result, const struct nats_message *m)
{
	struct answer *a = arg;

	a->done = true;
	snprintf(a->text, sizeof a->text, "%.*s", result == NATS_REPLY ? (int)m->data_len : 0,
		 result == NATS_REPLY ? m->data : "");
}

void
person_asks(struct person *p, const char *verb, const char *body)
{
	const struct ask_end end = {p->conn, ""};
	struct answer a = {0};
	struct error e = ERROR_INIT;

	ck_assert_msg(ask_api(&end, body, strlen(body), on_answer, &a, &e, "%s", verb) != NULL, "%s", e.text);
	ck_assert(RUN_UNTIL(p->base, 6000, a.done));
	ck_assert_msg(a.text[0] == '{' && strstr(a.text, "\"error\"") == NULL, "%s: %s", verb, a.text);
}

void
person_writes(struct person *p, const char *bucket, const char *key, const char *headers, const char *value)
{
	char subject[256];
	struct answer a = {0};
	struct error e = ERROR_INIT;

	snprintf(subject, sizeof subject, "$KV.%s.%s", bucket, key);
	ck_assert_ptr_nonnull(nats_conn_request(p->conn, subject, headers, strlen(headers), value,
						strlen(value), 5000, on_answer, &a, &e));
	ck_assert(RUN_UNTIL(p->base, 6000, a.done));
	ck_assert_msg(strstr(a.text, "\"seq\"") != NULL && strstr(a.text, "\"error\"") == NULL, "%s", a.text);
}
