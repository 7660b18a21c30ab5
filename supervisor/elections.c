/*
 * The glue between the pipes and the broker of elections. Runs in the supervisor.
 *
 * What is stored: the table `leadership`, for people; nothing of it is ever read back. What is known: an
 * elector whose process or pipe is gone holds nothing, and its frames that are read later say nothing. What
 * happens next: the next elector has the same nonce, so it finds the keys of its predecessor and takes them
 * over in new terms. Must not decide who leads: electors do.
 */
#include "supervisor/elections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "supervisor/spawn.h"

struct elections {
	struct children *table;
	struct leaders *leaders;
	struct proto_elect elect;
	bool asked;     /* the loss that is being told was caused by us */
	bool table_due; /* leadership has changed since it was written */
};

/* ---- what the broker says --------------------------------------------------------------------------- */

static void
send_role(void *arg, void *child, const struct proto_role *role)
{
	struct strbuf payload;

	(void)arg;
	strbuf_init(&payload);
	proto_role_encode(&payload, role);
	child_send(child, PROTO_ROLE, &payload);
	strbuf_fini(&payload);
}

static void
send_to_elector(const struct elections *e, const struct leader *n, enum proto_type type,
		struct strbuf *payload)
{
	struct child *elector = children_find(e->table, JOB_ELECT, n->elector);

	if (elector != NULL)
		child_send(elector, type, payload);
	strbuf_fini(payload);
}

static void
send_able(void *arg, const struct leader *n, bool able)
{
	const struct proto_able message = {n->key, able};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_able_encode(&payload, &message);
	send_to_elector(arg, n, PROTO_ABLE, &payload);
}

static void
send_release(void *arg, const struct leader *n, uint64_t term)
{
	const struct proto_term message = {n->key, term};
	struct strbuf payload;

	strbuf_init(&payload);
	proto_term_encode(&payload, &message);
	send_to_elector(arg, n, PROTO_RELEASE, &payload);
}

static void
note_loss(const struct elections *e, const struct leader *n, const char *reason)
{
	char *detail;

	if (e->asked) {
		log_info(n->elector, "\"%s\": leadership of term %" PRIu64 " ended: %s", n->name, n->term,
			 reason);
		return;
	}
	detail = xasprintf("election \"%s\", term %" PRIu64 ": %s", n->name, n->term, reason);
	log_warn(n->elector, "\"%s\": leadership of term %" PRIu64 " lost: %s", n->name, n->term, reason);
	store_incident(e->table->store, n->elector, "leadership_lost", detail);
	free(detail);
}

/* What the elector sees elsewhere; what it sees of ourselves was told already. */
static void
note_seen(const struct leader *n)
{
	const struct proto_election *r = &n->report;

	if (!n->have_report || r->leads)
		return;
	if (r->leader[0] == '\0')
		log_debug(n->elector, "\"%s\": nobody leads, as far as is known", n->name);
	else if (r->site[0] == '\0')
		log_info(n->elector, "\"%s\": %s leads, term %" PRIu64, n->name, r->leader, r->term);
	else
		log_info(n->elector, "\"%s\": %s of %s leads, term %" PRIu64, n->name, r->leader, r->site,
			 r->term);
}

static void
happened(void *arg, const struct leader *n, enum leader_event event, const char *reason)
{
	struct elections *e = arg;

	e->table_due = true;
	switch (event) {
	case LEADER_WON:
		log_info(n->elector, "\"%s\": this machine leads, term %" PRIu64, n->name, n->term);
		break;
	case LEADER_LOST:
		note_loss(e, n, reason);
		break;
	case LEADER_ENDED:
		log_warn(n->elector, "\"%s\": leadership of term %" PRIu64 " ended during hand-over: %s",
			 n->name, n->term, reason);
		break;
	case LEADER_YIELD:
		log_info(n->elector, "\"%s\": handing over, term %" PRIu64 ": %s", n->name, n->term, reason);
		break;
	case LEADER_RELEASED:
		log_info(n->elector, "\"%s\": given up, term %" PRIu64 ": its workers here have stopped",
			 n->name, n->term);
		break;
	case LEADER_SEEN:
		note_seen(n);
		break;
	}
}

/* ---- what people are told --------------------------------------------------------------------------- */

static void
view_own(const struct elections *e, const struct leader *n, struct mono now, struct election_view *view)
{
	view->role = "leader";
	view->leader = e->elect.node;
	view->site = e->table->jobs->conf->name;
	view->term = n->term;
	view->lease_end_ns = n->lease_end_ns;
	view->since_ms = wall_ms() - mono_ms_between(n->since, now);
	if (n->have_report && n->report.leads && n->report.since_ms > 0)
		view->since_ms = n->report.since_ms;
	view->pid = (uint32_t)getpid(); /* as the elector writes it */
}

void
elections_view(const struct elections *e, const struct leader *n, struct mono now, struct election_view *view)
{
	const struct proto_election *r = &n->report;

	*view = (struct election_view){.role = "standby", .leader = "", .site = ""};
	if (n->role != LEADER_STANDBY) {
		view_own(e, n, now, view);
	} else if (n->have_report && !r->leads) {
		view->leader = r->leader;
		view->site = r->site;
		view->term = r->term;
		view->pid = r->pid;
		view->since_ms = r->since_ms;
		view->lease_end_ns = r->lease_end_ns;
	}
}

/* One row for each child that works for a name. */
static void
write_table(struct elections *e)
{
	const struct jobs *jobs = e->table->jobs;
	struct state_leadership *rows = xcalloc(jobs->count + 1, sizeof *rows);
	struct mono now = mono_now();
	size_t count = 0;

	for (size_t i = 0; i < jobs->count; i++) {
		const struct job *job = &jobs->list[i];
		const struct leader *n;
		struct election_view view;

		if (job->kind == JOB_ELECT || job->name == NULL)
			continue;
		n = leaders_find(e->leaders, job->group->id, job->name->key);
		elections_view(e, n, now, &view);
		rows[count++] = (struct state_leadership){.name = n->name,
							  .topic = job_key(job),
							  .role = view.role,
							  .term = view.term,
							  .leader = view.leader,
							  .since_ms = view.since_ms};
	}
	store_put_leadership(e->table->store, rows, count);
	free(rows);
	e->table_due = false;
}

/* ---- begin and end ---------------------------------------------------------------------------------- */

static void
make_nonce(char *out, size_t size)
{
	uint64_t nonce;

	if (getrandom(&nonce, sizeof nonce, GRND_NONBLOCK) != sizeof nonce)
		nonce = (uint64_t)wall_ms() << 20 ^ (uint64_t)mono_now().ns << 8 ^ (uint64_t)getpid();
	snprintf(out, size, "%016" PRIx64, nonce);
}

struct elections *
elections_new(struct children *table)
{
	static const struct leaders_io io = {send_role, send_able, send_release, happened};
	struct elections *e = xcalloc(1, sizeof *e);

	e->table = table;
	e->leaders = leaders_new(&io, e);
	make_nonce(e->elect.nonce, sizeof e->elect.nonce);
	gethostname(e->elect.node, sizeof e->elect.node - 1);
	elections_set_plan(e);
	return e;
}

void
elections_free(struct elections **elections)
{
	struct elections *e = *elections;

	*elections = NULL;
	if (e == NULL)
		return;
	write_table(e);
	leaders_free(&e->leaders);
	free(e);
}

void
elections_set_plan(struct elections *e)
{
	leaders_set_plan(e->leaders, &e->table->jobs->plan, mono_now());
	e->table_due = true;
}

/* ---- the children's life ---------------------------------------------------------------------------- */

void
elections_send_elect(struct elections *e, struct child *elector)
{
	struct strbuf payload;

	strbuf_init(&payload);
	proto_elect_encode(&payload, &e->elect);
	child_send(elector, PROTO_ELECT, &payload);
	strbuf_reset(&payload);
	proto_log_level_encode(&payload, e->table->jobs->conf->loglevel);
	child_send(elector, PROTO_LOG_LEVEL, &payload);
	child_send(elector, PROTO_ALIVE, NULL);
	strbuf_fini(&payload);
}

void
elections_child_started(struct elections *e, struct child *c)
{
	if (c->kind != JOB_ELECT && c->job.name != NULL)
		leaders_child_started(e->leaders, c->job.group->id, c->job.name->key, c);
}

/* At work, and connected to both ends: it could do its part if it were told to lead. */
static bool
is_able(const struct child *c)
{
	return c->state == CHILD_RUNNING && c->reported != WORKER_STARTING &&
	       c->reported != WORKER_CONNECTING && c->reported != WORKER_WAITING;
}

void
elections_child_changed(struct elections *e, struct child *c)
{
	if (c->kind != JOB_ELECT)
		leaders_child_able(e->leaders, c, is_able(c));
}

void
elections_child_ready(struct elections *e, struct child *c)
{
	if (c->kind == JOB_ELECT)
		leaders_elector_ready(e->leaders, c->key);
}

static void
elector_gone(struct elections *e, struct child *c)
{
	char why[sizeof c->kill_reason + 160], how[128];

	if (c->kill_reason[0] != '\0')
		snprintf(why, sizeof why, "its elector was ended: %s", c->kill_reason);
	else if (c->reaped)
		snprintf(why, sizeof why, "its elector is gone: %s",
			 spawn_status_text(c->status, how, sizeof how));
	else
		/* How it ended is not known yet, and nothing waits for that. */
		snprintf(why, sizeof why, "its elector is gone");
	e->asked = c->next != CHILD_BY_POLICY;
	leaders_elector_ended(e->leaders, c->key, why, mono_now());
	e->asked = false;
}

void
elections_child_gone(struct elections *e, struct child *c)
{
	if (c->gone_told)
		return;
	c->gone_told = true;
	if (c->kind == JOB_ELECT)
		elector_gone(e, c);
	else
		leaders_child_ended(e->leaders, c, mono_now());
}

void
elections_child_removed(struct elections *e, struct child *c)
{
	if (c->kind == JOB_ELECT)
		leaders_elector_ended(e->leaders, c->key, "its elector was removed", mono_now());
}

/* ---- frames ----------------------------------------------------------------------------------------- */

static int
on_won(struct elections *e, const struct child *c, const struct proto_frame *f, struct error *err)
{
	struct proto_won won;
	int rc;

	if (proto_won_decode(f->payload, f->len, &won, err) != 0)
		return -1;
	rc = leaders_won(e->leaders, c->key, &won, mono_now(), err);
	proto_won_fini(&won);
	return rc;
}

static int
on_lost(struct elections *e, const struct child *c, const struct proto_frame *f, struct error *err)
{
	struct proto_lost lost;
	int rc;

	if (proto_lost_decode(f->payload, f->len, &lost, err) != 0)
		return -1;
	if (f->type == PROTO_LOST)
		rc = leaders_lost(e->leaders, c->key, &lost, mono_now(), err);
	else
		rc = leaders_yield(e->leaders, c->key, &lost, mono_now(), err);
	proto_lost_fini(&lost);
	return rc;
}

static int
on_election(struct elections *e, const struct child *c, const struct proto_frame *f, struct error *err)
{
	struct proto_election report;

	if (proto_election_decode(f->payload, f->len, &report, err) != 0)
		return -1;
	return leaders_report(e->leaders, c->key, &report, err);
}

static int
on_role_done(struct elections *e, const struct child *c, const struct proto_frame *f, struct error *err)
{
	uint64_t serial;

	if (proto_role_done_decode(f->payload, f->len, &serial, err) != 0)
		return -1;
	return leaders_role_done(e->leaders, c, serial, mono_now(), err);
}

int
elections_frame(struct elections *e, struct child *c, const struct proto_frame *f, struct error *err)
{
	bool of_elector = f->type != PROTO_ROLE_DONE;

	if (of_elector != (c->kind == JOB_ELECT))
		return error_set(err, ERR_PROTOCOL, "%s has no business here", proto_type_name(f->type));
	/* What a process that is gone said last holds no more. */
	if (c->gone_told)
		return 0;
	switch (f->type) {
	case PROTO_WON:
		return on_won(e, c, f, err);
	case PROTO_LOST:
	case PROTO_YIELD:
		return on_lost(e, c, f, err);
	case PROTO_ELECTION:
		return on_election(e, c, f, err);
	default:
		return on_role_done(e, c, f, err);
	}
}

/* ---- order among electors --------------------------------------------------------------------------- */

bool
elections_must_wait(const struct elections *e, const struct child *elector)
{
	for (size_t i = 0; i < e->table->count; i++) {
		const struct child *c = e->table->list[i];

		if (c != elector && c->kind == JOB_ELECT && !c->wanted && child_has_process(c))
			return true;
	}
	return false;
}

/*
 * An elector whose configuration changed is replaced without draining: names that stay would be handed over
 * otherwise. They are lost for as long as a process takes to start and to find its predecessor's keys. Names
 * that go are stopped and released first.
 */
static void
replace(struct child *c)
{
	c->replace = false;
	if (child_has_process(c) && c->state != CHILD_DRAINING) {
		c->next = CHILD_START;
		child_kill(c, "replaced, for its configuration changed");
	} else {
		child_drain(c, CHILD_START);
	}
}

void
elections_advance(struct elections *e, struct mono now)
{
	if (e->table->stopping)
		return;
	for (size_t i = 0; i < e->table->count; i++) {
		struct child *c = e->table->list[i];

		if (c->kind != JOB_ELECT || !c->wanted || elections_must_wait(e, c))
			continue;
		if (c->held) {
			c->held = false;
			child_start(c);
		}
		if (c->replace && leaders_may_replace(e->leaders, c->key, now))
			replace(c);
	}
}

/* A supervisor that is held up passes nothing on: its electors must not go on renewing for nobody. */
static void
send_alive(struct elections *e)
{
	for (size_t i = 0; i < e->table->count; i++)
		if (e->table->list[i]->kind == JOB_ELECT && child_has_process(e->table->list[i]))
			child_send(e->table->list[i], PROTO_ALIVE, NULL);
}

void
elections_tick(struct elections *e, struct mono now)
{
	send_alive(e);
	leaders_tick(e->leaders, now);
	elections_advance(e, now);
	if (e->table_due)
		write_table(e);
}

/* ---- for status and verbs --------------------------------------------------------------------------- */

const struct leader *
elections_of(const struct elections *e, const struct child *c)
{
	if (c->kind == JOB_ELECT || c->job.name == NULL)
		return NULL;
	return leaders_find(e->leaders, c->job.group->id, c->job.name->key);
}

const struct leaders *
elections_leaders(const struct elections *e)
{
	return e->leaders;
}

static bool
others_stand(const struct leader *n)
{
	for (size_t i = 0; n->have_report && i < n->report.present_count; i++)
		if (!n->report.present[i].self)
			return true;
	return false;
}

static int
refuse_unknown(const struct elections *e, const char *name, struct error *err)
{
	struct strbuf all;
	int rc;

	strbuf_init(&all);
	for (size_t i = 0; i < leaders_count(e->leaders); i++)
		if (leaders_at(e->leaders, i)->wanted)
			strbuf_addf(&all, " %s", leaders_at(e->leaders, i)->name);
	rc = error_set(err, ERR_NOT_FOUND, "election \"%s\" does not exist here; there %s%s", name,
		       all.len > 0 ? "are:" : "are none", all.data);
	strbuf_fini(&all);
	return rc;
}

static int
refuse_standby(const struct elections *e, const struct leader *n, struct error *err)
{
	struct election_view view;

	elections_view(e, n, mono_now(), &view);
	if (view.leader[0] == '\0')
		return error_set(err, ERR_CONFLICT,
				 "election \"%s\": this machine does not lead it, and who does is not known",
				 n->name);
	return error_set(err, ERR_CONFLICT, "election \"%s\": this machine does not lead it, %s does%s%s%s",
			 n->name, view.leader, view.site[0] != '\0' ? " (site " : "", view.site,
			 view.site[0] != '\0' ? ")" : "");
}

int
elections_step_down(struct elections *e, const char *name, struct error *err)
{
	const struct leader *n = leaders_find_name(e->leaders, name);
	struct proto_name message;
	struct strbuf payload;

	if (n == NULL)
		return refuse_unknown(e, name, err);
	if (n->role == LEADER_STANDBY)
		return refuse_standby(e, n, err);
	if (!others_stand(n))
		return error_set(err, ERR_CONFLICT,
				 "election \"%s\": no other machine stands for it that could take over",
				 n->name);
	message.key = n->key;
	strbuf_init(&payload);
	proto_name_encode(&payload, &message);
	send_to_elector(e, n, PROTO_STEP_DOWN, &payload);
	return 0;
}
