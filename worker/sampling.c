/*
 * Sampling in a replicator: who owns what, the role, both ends, and time; part of the replicator.
 *
 * What is known. The sampler's table says of each value when it was seen and copied: up to the settled
 * position for good, beyond it as if all that is in flight succeeds. The pipeline says what is settled; the
 * two move together, at one place each: sampling_settled(), and sampling_located() after a rewind.
 *
 * What is stored. At the target: the copies, with origin and time, from which the table can be made again. In
 * state.db, through the supervisor: rows of the table as of the last seconds, and a note: "all up to here is
 * in". The note is written after the rows and after the checkpoint, so it never says too much. With other
 * nodes: the same, by gossip.
 *
 * What happens next, when
 *
 * - the worker or its machine dies: the next one loads the rows, reads back the copies behind the note from
 *   the target, and hears again what the source holds between the note and the position (sampling_start.c):
 *   then it knows what this one knew;
 * - state.db is lost: the supervisor says so, and all rows are sent anew; a worker that starts without reads
 *   the copies of the last inspect_duration;
 * - a rewind: what is in flight is dropped and judged again when it comes again; what was sent stays sent
 *   (must_copy), whatever the rules say now;
 * - leadership is lost: what is in flight is dropped; the table stays, and follows by gossip;
 * - leadership is gained: as after a death, from the better of the own note and the gossip's;
 * - the target is another one: nothing was copied to it, the times of copies are forgotten;
 * - what was said cannot be heard again (work queues, or too much of it): nobody counts as silent for longer
 *   than since now;
 * - supervisor, disk, gossip, advisories do not work: copying does not wait for them.
 *
 * Only a leader whose table is whole (`ready`) raises timeouts, gossips and writes notes.
 */
#include "worker/sampling.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/gossip.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "state/reader.h"
#include "worker/replicator_internal.h"

enum {
	TICK_MS = 250,
	ROWS_MS = 5000,
	CURRENT_MS = 2000, /* a message stored so lately: the source is read up to its end */
};

/* ---- what the parts call ------------------------------------------------------------------------- */

static bool
advise(void *arg, const struct advisory *advisory)
{
	struct replicator *r = arg;

	return r->sampling->advisor != NULL && advisor_raise(r->sampling->advisor, advisory, wall_ms());
}

static void
outbox_changed(void *arg, const struct proto_advisory *change)
{
	struct replicator *r = arg;

	r->reports.advisory(r->arg, change);
}

static void
advisory_delivered(void *arg, const char *value, size_t len)
{
	struct replicator *r = arg;

	sampler_delivered(r->sampling->sampler, value, len);
}

static void
advisor_incident(void *arg, const char *kind, const char *detail)
{
	replicator_incident(arg, kind, "%s", detail);
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* Whether all that the source holds has been read: what waits there has been said already. */
static bool
is_current(const struct replicator *r)
{
	if (r->source_last_known && pipeline_offered_seq(r->pipeline) >= r->source_last)
		return true;
	return (r->pending_known && r->pending == 0) || wall_ms() - r->last_stored_ms < CURRENT_MS;
}

void
sampling_listen(struct replicator *r)
{
	struct sampling *s = r->sampling;
	bool on = r->phase == PHASE_COPYING && r->lead.leads && s->ready && is_current(r);

	listening_set(sampler_listening(s->sampler), on, wall_ms(), mono_now());
}

void
sampling_phase_changed(struct replicator *r)
{
	if (r->phase != PHASE_RECALLING) {
		nats_request_cancel(&r->sampling->first_request);
		recall_cancel(&r->sampling->recall);
	}
	sampling_listen(r);
}

static void
arm_tick(struct replicator *r, bool at_once)
{
	const struct timeval after = {0, at_once ? 0 : TICK_MS * 1000};

	evtimer_add(r->sampling->tick_timer, &after);
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	struct replicator *r = arg;
	struct sampling *s = r->sampling;
	bool leads = r->lead.leads, more = false;

	(void)fd;
	(void)what;
	if (leads && s->ready && lead_is_over(r, mono_now()))
		leads = false;
	sampling_replay_tick(r);
	sampling_listen(r);
	if (!leads || (s->ready && r->phase == PHASE_COPYING))
		more = sampler_tick(s->sampler, leads, wall_ms());
	sampling_rows_look(r);
	arm_tick(r, more);
}

/* ---- making it ----------------------------------------------------------------------------------- */

static bool
load_row(void *arg, const char *topic, const struct proto_sample *row)
{
	(void)topic;
	sampler_load(arg, row);
	return true;
}

static bool
load_row_of_others(void *arg, const char *topic, const struct proto_sample *row)
{
	(void)topic;
	sampler_load_gone(arg, row);
	return true;
}

static void
load_advisory(void *arg, const struct proto_advisory *row)
{
	struct sampling *s = arg;
	struct advisory_read said;

	if (!advisor_load(s->advisor, row) || advisory_read(row->body, strlen(row->body), &said, NULL) != 0)
		return;
	sampler_load_held(s->sampler, said.value, strlen(said.value));
	advisory_read_fini(&said);
}

/* A note that makes no sense is none: its rows and the outbox are good without it. */
static bool
understand_note(const char *text, struct sample_note *note)
{
	struct error e = ERROR_INIT;

	if (sample_note_read(text, strlen(text), note, &e) == 0)
		return true;
	log_warn("replicator", "state.db: %s; the target is read instead", e.text);
	return false;
}

/* Reads the note that goes with the rows; *have false: there is none. */
static int
load_note(struct state_reader *reader, const char *topic, struct sample_note *note, bool *have,
	  struct error *e)
{
	struct strbuf key;
	char *text = NULL;
	int status;

	strbuf_init(&key);
	strbuf_addf(&key, "sampled:%s", topic);
	status = state_reader_meta(reader, key.data, &text, e);
	strbuf_fini(&key);
	*have = status == 0 && text != NULL && understand_note(text, note);
	free(text);
	return status;
}

/* Whether the rows are of values that were taken from elsewhere: nobody will ever be heard by these names. */
static bool
is_of_others(const struct sampling *s)
{
	return s->have_known && s->known.inspector != 0 && s->known.inspector != s->inspector_id;
}

static int
load_all(struct replicator *r, struct state_reader *reader, struct error *e)
{
	struct sampling *s = r->sampling;
	bool of_others;

	if (state_reader_begin(reader, e) != 0 ||
	    load_note(reader, r->topic->key, &s->known, &s->have_known, e) != 0)
		return -1;
	of_others = is_of_others(s);
	if (state_reader_samples(reader, r->topic->key, of_others ? load_row_of_others : load_row, s->sampler,
				 e) != 0)
		return -1;
	if (of_others) {
		s->have_known = false;
		log_info("replicator", "values are taken from elsewhere now: those of before are forgotten");
	}
	if (s->advisor == NULL)
		return 0;
	return state_reader_outbox(reader, r->topic->key, load_advisory, s, e);
}

/* What an earlier process knew. Without it the target is read back instead. */
static void
load(struct replicator *r)
{
	struct sampling *s = r->sampling;
	struct error e = ERROR_INIT;
	struct state_reader *reader = state_reader_open(r->conf->state_dir, &e);
	struct sampler_figures figures;

	if (reader == NULL || load_all(r, reader, &e) != 0) {
		s->have_known = false;
		log_warn("replicator",
			 "what was sampled before cannot be read: %s; the target is read instead", e.text);
	}
	state_reader_close(&reader);
	if (s->have_known)
		sampler_adopt(s->sampler, &s->known);
	sampler_figures(s->sampler, &figures);
	if (figures.tracked > 0)
		log_info("replicator", "%llu values of before", (unsigned long long)figures.tracked);
}

static void
make_advisor(struct replicator *r)
{
	static const struct advisor_callbacks callbacks = {outbox_changed, advisory_delivered,
							   advisor_incident};
	const struct conf_advisory *advisory = &r->topic->sampling.advisory;

	if (advisory->set)
		r->sampling->advisor = advisor_new(
		    r->base, advisory->cluster == ADVISORY_SOURCE ? r->source_conn : r->target_conn, r->conf,
		    r->topic, &callbacks, r);
}

static struct sampler *
make_sampler(struct replicator *r)
{
	static const struct sampler_callbacks callbacks = {advise};
	const struct conf_sampling *c = &r->topic->sampling;
	const struct sampler_rules rules = {
	    .duration_ms = c->duration_ms,
	    .warn_ms = c->warn_ms,
	    .size_trigger = c->size_trigger,
	    .max_values = c->max_values,
	    .gossip = c->gossip,
	};
	uint64_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = (uint64_t)mono_now().ns ^ (uint64_t)getpid() << 32;
	return sampler_new(&rules, seed, &callbacks, r);
}

static void
start_timers(struct replicator *r)
{
	const struct timeval every = {ROWS_MS / 1000, 0};

	r->sampling->tick_timer = evtimer_new(r->base, tick, r);
	r->sampling->rows_timer = event_new(r->base, -1, EV_PERSIST, sampling_rows_timer, r);
	event_add(r->sampling->rows_timer, &every);
	arm_tick(r, false);
}

int
sampling_make(struct replicator *r, struct error *e)
{
	const struct conf_sampling *c = &r->topic->sampling;
	struct sampling *s;

	if (c->inspect == INSPECT_NONE)
		return 0;
	s = r->sampling = xcalloc(1, sizeof *s);
	strbuf_init(&s->last_note);
	s->inspector = inspect_new(c, e);
	s->inspector_id = inspect_identity(c);
	s->values = s->inspector != NULL ? copy_value_new(r->topic, e) : NULL;
	if (s->values == NULL) {
		sampling_free(r);
		return -1;
	}
	s->value_line = copy_value_needs_line(r->topic);
	s->sampler = make_sampler(r);
	make_advisor(r);
	if (c->gossip)
		s->gossiper = gossiper_new(r->base, r->source_conn, r->topic, s->sampler);
	load(r);
	start_timers(r);
	return 0;
}

void
sampling_free(struct replicator *r)
{
	struct sampling *s = r->sampling;
	struct event *timers[2];

	if (s == NULL)
		return;
	nats_request_cancel(&s->first_request);
	recall_cancel(&s->recall);
	timers[0] = s->tick_timer;
	timers[1] = s->rows_timer;
	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
		if (timers[i] != NULL)
			event_free(timers[i]);
	gossiper_free(&s->gossiper);
	advisor_free(&s->advisor);
	sampler_free(&s->sampler);
	copy_value_free(&s->values);
	inspect_free(&s->inspector);
	strbuf_fini(&s->last_note);
	free(s);
	r->sampling = NULL;
}

/* ---- the ends ------------------------------------------------------------------------------------ */

static bool
advises_at(const struct replicator *r, bool is_source)
{
	return r->sampling->advisor != NULL &&
	       (r->topic->sampling.advisory.cluster == ADVISORY_SOURCE) == is_source;
}

void
sampling_end_up(struct replicator *r, bool is_source)
{
	if (is_source && r->sampling->gossiper != NULL)
		gossiper_up(r->sampling->gossiper);
	if (advises_at(r, is_source))
		advisor_up(r->sampling->advisor);
}

void
sampling_end_down(struct replicator *r, bool is_source)
{
	if (is_source && r->sampling->gossiper != NULL)
		gossiper_down(r->sampling->gossiper);
	if (advises_at(r, is_source))
		advisor_down(r->sampling->advisor);
}

/* The part of the advisories' subject that is the same for all of them. */
static bool
names_advisory(const struct replicator *r, const char *text)
{
	const char *subject = r->topic->sampling.advisory.subject;
	size_t len = subject != NULL ? strcspn(subject, "%") : 0;
	struct strbuf fixed;
	bool found;

	if (!r->topic->sampling.advisory.set || len == 0)
		return false;
	strbuf_init(&fixed);
	strbuf_add(&fixed, subject, len);
	found = strstr(text, fixed.data) != NULL;
	strbuf_fini(&fixed);
	return found;
}

/* An answer to another node that joins is all that we publish there to an inbox. */
static bool
names_gossip(const struct replicator *r, const char *text)
{
	return r->sampling->gossiper != NULL &&
	       (strstr(text, GOSSIP_SUBJECT_PREFIX) != NULL || strstr(text, "_INBOX.") != NULL);
}

bool
sampling_takes_error(struct replicator *r, const char *text)
{
	struct sampling *s = r->sampling;

	if (s->gossiper != NULL)
		gossiper_async_error(s->gossiper, text);
	if (!names_gossip(r, text) && !names_advisory(r, text))
		return false;
	if (!s->error_told && strstr(text, GOSSIP_SUBJECT_PREFIX) == NULL)
		log_warn("replicator", "%s; allow the replicator's user to advise, and to answer other nodes",
			 text);
	s->error_told = true;
	return true;
}

/* ---- settling, and the end of it ----------------------------------------------------------------- */

void
sampling_settled(struct replicator *r)
{
	sampler_settled(r->sampling->sampler, pipeline_source_seq(r->pipeline), pipeline_floor(r->pipeline));
}

void
sampling_stand_by(struct replicator *r)
{
	struct sampling *s = r->sampling;

	sampling_remember(r);
	sampling_listen(r);
	sampling_rows_send(r);
	if (s->gossiper != NULL && s->ready)
		(void)gossiper_flush(s->gossiper);
	if (s->gossiper != NULL)
		gossiper_follow(s->gossiper);
	if (s->advisor != NULL)
		advisor_lead(s->advisor, false);
	sampler_drop(s->sampler);
	s->ready = s->wanted = false;
}

void
sampling_end(struct replicator *r)
{
	struct sampling *s = r->sampling;

	sampling_listen(r);
	sampling_rows_flush(r);
	if (s->gossiper != NULL && s->ready && r->lead.leads)
		(void)gossiper_flush(s->gossiper);
}

/* ---- figures ------------------------------------------------------------------------------------- */

static void
advisor_stats(const struct sampling *s, struct proto_stats *stats)
{
	struct advisor_figures f;

	if (s->advisor == NULL)
		return;
	advisor_figures(s->advisor, &f);
	stats->counter[COUNTER_ADVISORIES_NEW] = f.raised[ADVISORY_EVENT_NEW];
	stats->counter[COUNTER_ADVISORIES_TIMEOUT] = f.raised[ADVISORY_EVENT_TIMEOUT];
	stats->counter[COUNTER_ADVISORIES_RECOVER] = f.raised[ADVISORY_EVENT_RECOVER];
	stats->counter[COUNTER_ADVISORIES_EXPIRE] = f.raised[ADVISORY_EVENT_EXPIRE];
	stats->counter[COUNTER_ADVISORIES_ERRORS] = f.errors;
	stats->counter[COUNTER_ADVISORIES_DROPPED] = f.dropped;
	stats->gauge[GAUGE_OUTBOX_MSGS] = f.waiting;
}

static void
gossip_stats(const struct sampling *s, struct proto_stats *stats)
{
	struct gossiper_figures f;

	if (s->gossiper == NULL)
		return;
	gossiper_figures(s->gossiper, &f);
	stats->counter[COUNTER_GOSSIP_SENT] = f.sent;
	stats->counter[COUNTER_GOSSIP_RECEIVED] = f.received;
	stats->counter[COUNTER_GOSSIP_REJECTED] = f.rejected;
}

void
sampling_stats(const struct replicator *r, struct proto_stats *stats)
{
	struct sampler_figures f;

	sampler_figures(r->sampling->sampler, &f);
	stats->gauge[GAUGE_TRACKED_VALUES] = f.tracked;
	stats->gauge[GAUGE_ADVISED_VALUES] = f.advised;
	stats->gauge[GAUGE_OUTBOX_MSGS] = 0;
	advisor_stats(r->sampling, stats);
	gossip_stats(r->sampling, stats);
}
