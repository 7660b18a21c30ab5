/*
 * The status as JSON. Runs in the supervisor. Field names are a contract with users: added to, never
 * renamed; numbers are numbers, unknown is null, times are RFC 3339.
 */
#include "supervisor/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/elections.h"
#include "supervisor/status_elections.h"
#include "supervisor/status_json.h"

/* A gauge, or what the checkpoint says where no process has reported yet. */
static uint64_t
gauge_or_checkpoint(const struct child *c, enum proto_gauge g, uint64_t from_checkpoint)
{
	uint64_t value = c->totals.gauge[g];

	return value == PROTO_UNKNOWN && c->have_checkpoint ? from_checkpoint : value;
}

/* Where a topic stands is known to who leads it. */
static bool
on_standby(const struct supervisor *s, const struct child *c)
{
	const struct leader *n = elections_of(s->children.elections, c);

	return n != NULL && n->role == LEADER_STANDBY;
}

static void
add_lag(json_t *o, const struct child *c)
{
	uint64_t lag_ms = c->totals.gauge[GAUGE_LAG_MS];

	json_object_set_new(o, "lag_msgs", status_number(c->totals.gauge[GAUGE_LAG_MSGS]));
	json_object_set_new(o, "lag_seconds",
			    status_real(lag_ms == PROTO_UNKNOWN ? -1 : (double)lag_ms / 1000));
	json_object_set_new(o, "eta_s", status_real(totals_eta_s(&c->totals)));
}

static void
add_position(json_t *o, const struct child *c)
{
	const uint64_t *gauge = c->totals.gauge;

	json_object_set_new(o, "source_last_seq", status_number(gauge[GAUGE_SOURCE_LAST_SEQ]));
	json_object_set_new(
	    o, "committed_seq",
	    status_number(gauge_or_checkpoint(c, GAUGE_COMMITTED_SEQ, c->checkpoint.source_seq)));
	json_object_set_new(
	    o, "target_seq",
	    status_number(gauge_or_checkpoint(c, GAUGE_TARGET_SEQ, c->checkpoint.target_seq)));
	json_object_set_new(o, "rate_msgs", status_real(c->totals.copied.per_second));
	json_object_set_new(o, "inflight", status_number(gauge[GAUGE_INFLIGHT_MSGS]));
	json_object_set_new(o, "window", status_number(gauge[GAUGE_WINDOW_MSGS]));
	add_lag(o, c);
}

static void
hide_position(json_t *o)
{
	static const char *const leader_only[] = {"source_last_seq", "committed_seq", "target_seq",
						  "lag_msgs",        "lag_seconds",   "eta_s",
						  "rate_msgs",       "inflight",      "window"};

	for (size_t i = 0; i < sizeof leader_only / sizeof leader_only[0]; i++)
		json_object_set_new(o, leader_only[i], json_null());
}

static void
add_counters(json_t *o, const struct child *c)
{
	json_t *all = json_object();

	json_object_set_new(o, "copied", status_number(totals_counter(&c->totals, COUNTER_COPIED_MSGS)));
	json_object_set_new(o, "skipped", status_number(totals_counter(&c->totals, COUNTER_SKIPPED_MSGS)));
	json_object_set_new(o, "failed", status_number(totals_counter(&c->totals, COUNTER_FAILED_MSGS)));
	json_object_set_new(o, "rewinds", status_number(totals_counter(&c->totals, COUNTER_REWINDS)));
	for (int i = 0; i < COUNTER_END; i++)
		json_object_set_new(all, proto_counter_name((enum proto_counter)i),
				    status_number(totals_counter(&c->totals, (enum proto_counter)i)));
	json_object_set_new(o, "counters", all);
}

static void
add_number(json_t *o, const char *name, const struct child *c, enum proto_counter counter)
{
	json_object_set_new(o, name, status_number(totals_counter(&c->totals, counter)));
}

static json_t *
advisories(const struct child *c)
{
	json_t *o = json_object();

	add_number(o, "new", c, COUNTER_ADVISORIES_NEW);
	add_number(o, "timeout", c, COUNTER_ADVISORIES_TIMEOUT);
	add_number(o, "recover", c, COUNTER_ADVISORIES_RECOVER);
	add_number(o, "expire", c, COUNTER_ADVISORIES_EXPIRE);
	add_number(o, "errors", c, COUNTER_ADVISORIES_ERRORS);
	add_number(o, "dropped", c, COUNTER_ADVISORIES_DROPPED);
	json_object_set_new(o, "waiting", status_number(c->totals.gauge[GAUGE_OUTBOX_MSGS]));
	return o;
}

static json_t *
gossip(const struct child *c)
{
	json_t *o = json_object();

	add_number(o, "sent", c, COUNTER_GOSSIP_SENT);
	add_number(o, "received", c, COUNTER_GOSSIP_RECEIVED);
	add_number(o, "rejected", c, COUNTER_GOSSIP_REJECTED);
	return o;
}

static json_t *
sampling(const struct child *c)
{
	json_t *o;

	if (!child_is_sampled(c))
		return json_null();
	o = json_object();
	json_object_set_new(o, "tracked", status_number(c->totals.gauge[GAUGE_TRACKED_VALUES]));
	json_object_set_new(o, "advised", status_number(c->totals.gauge[GAUGE_ADVISED_VALUES]));
	add_number(o, "seen", c, COUNTER_SAMPLE_SEEN);
	add_number(o, "copied", c, COUNTER_SAMPLE_PASSED);
	add_number(o, "skipped", c, COUNTER_SAMPLE_SKIPPED);
	add_number(o, "forced", c, COUNTER_FORCED_MSGS);
	add_number(o, "size_triggered", c, COUNTER_SIZE_TRIGGERED_MSGS);
	add_number(o, "without_value", c, COUNTER_WITHOUT_VALUE_MSGS);
	add_number(o, "untracked", c, COUNTER_UNTRACKED_MSGS);
	json_object_set_new(o, "advisories", advisories(c));
	json_object_set_new(o, "gossip", gossip(c));
	return o;
}

static void
add_process(json_t *o, const struct child *c, struct mono now)
{
	char time[RFC3339_SIZE];
	bool lives = child_has_process(c);

	json_object_set_new(o, "pid", lives ? json_integer(c->pid) : json_null());
	json_object_set_new(o, "generation", lives ? json_integer((json_int_t)c->generation) : json_null());
	json_object_set_new(o, "restarts", json_integer(c->starts > 0 ? c->starts - 1 : 0));
	json_object_set_new(o, "uptime_s",
			    lives ? status_real((double)(now.ns - c->started.ns) / 1e9) : json_null());
	json_object_set_new(o, "paused", json_boolean(c->paused));
	json_object_set_new(o, "last_exit",
			    c->last_exit[0] != '\0' ? status_text(c->last_exit) : json_null());
	json_object_set_new(o, "last_exit_time",
			    c->last_exit[0] != '\0'
				? json_string(rfc3339_format(time, sizeof time, c->last_exit_ms))
				: json_null());
}

static json_t *
topic_status(const struct supervisor *s, const struct child *c, struct mono now)
{
	json_t *o = json_object();
	char reason[PROTO_MAX_TEXT + 256];
	enum worker_state state = child_shown_state(c, now, reason, sizeof reason);

	json_object_set_new(o, "name", status_text(c->key));
	json_object_set_new(o, "worker", status_text(c->worker));
	json_object_set_new(o, "state", json_string(worker_state_name(state)));
	json_object_set_new(o, "reason", status_text(reason));
	status_add_role(o, s, c);
	add_process(o, c, now);
	if (on_standby(s, c))
		hide_position(o);
	else
		add_position(o, c);
	add_counters(o, c);
	json_object_set_new(o, "sampling", sampling(c));
	return o;
}

static bool
is_topic(const struct child *c)
{
	return c->kind == JOB_REPLICATE && !c->gone;
}

static json_t *
problems(const struct supervisor *s, struct mono now)
{
	json_t *all = json_array();
	struct strbuf words;

	strbuf_init(&words);
	if (store_problem(s->store)[0] != '\0') {
		strbuf_addf(&words, "state: %s", store_problem(s->store));
		json_array_append_new(all, status_text(words.data));
	}
	for (size_t i = 0; i < s->children.count; i++) {
		const struct child *c = s->children.list[i];
		char label[512];

		snprintf(label, sizeof label, "topic \"%s\"", c->key);
		strbuf_reset(&words);
		if (is_topic(c) && status_child_problem(c, label, now, &words))
			json_array_append_new(all, status_text(words.data));
	}
	strbuf_fini(&words);
	status_election_problems(s, now, all);
	return all;
}

/* {"ok": …} as in every reply of the control socket: false comes with a text. */
static void
add_verdict(json_t *o, json_t *wrong)
{
	size_t count = json_array_size(wrong);

	json_object_set_new(o, "ok", json_boolean(count == 0));
	if (count == 1)
		json_object_set(o, "error", json_array_get(wrong, 0));
	else if (count > 1)
		json_object_set_new(o, "error",
				    json_sprintf("%zu problems; the first: %s", count,
						 json_string_value(json_array_get(wrong, 0))));
	json_object_set_new(o, "problems", wrong);
}

json_t *
status_build(const struct supervisor *s)
{
	struct mono now = mono_now();
	json_t *o = json_object(), *topics = json_array(), *wrong = problems(s, now);
	char node[256] = "";

	gethostname(node, sizeof node - 1);
	json_object_set_new(o, "name", status_text(s->conf->name));
	json_object_set_new(o, "node", status_text(node));
	json_object_set_new(o, "version", json_string(SR_VERSION));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "uptime_s", status_real((double)(now.ns - s->started.ns) / 1e9));
	json_object_set_new(o, "stopping", json_boolean(s->children.stopping));
	json_object_set_new(o, "config", status_text(s->options->config_path));
	json_object_set_new(o, "state_problem",
			    store_problem(s->store)[0] != '\0' ? status_text(store_problem(s->store))
							       : json_null());
	add_verdict(o, wrong);
	for (size_t i = 0; i < s->children.count; i++)
		if (is_topic(s->children.list[i]))
			json_array_append_new(topics, topic_status(s, s->children.list[i], now));
	json_object_set_new(o, "topics", topics);
	json_object_set_new(o, "heartbeat", status_heartbeat(s, now));
	json_object_set_new(o, "elections", status_elections(s, now));
	return o;
}

/* "?" for what is not known. */
static const char *
gauge_text(const struct child *c, enum proto_gauge g, char *buf, size_t size)
{
	if (c->totals.gauge[g] == PROTO_UNKNOWN)
		snprintf(buf, size, "?");
	else
		snprintf(buf, size, "%" PRIu64, c->totals.gauge[g]);
	return buf;
}

/* "" of a topic that is not sampled. */
static const char *
values_text(const struct child *c, char *buf, size_t size)
{
	char tracked[24];

	buf[0] = '\0';
	if (child_is_sampled(c))
		snprintf(buf, size, ", %s values tracked",
			 gauge_text(c, GAUGE_TRACKED_VALUES, tracked, sizeof tracked));
	return buf;
}

static void
log_topic(const struct child *c, struct mono now)
{
	char reason[PROTO_MAX_TEXT + 256], committed[24], last[24], lag[24], values[64];
	enum worker_state state = child_shown_state(c, now, reason, sizeof reason);

	log_info(c->key,
		 "status: %s%s%s; committed %s of %s, lag %s, %.1f messages/s, %" PRIu64 " copied, %" PRIu64
		 " failed, %" PRIu64 " rewinds, %u restarts%s",
		 worker_state_name(state), reason[0] != '\0' ? ": " : "", reason,
		 gauge_text(c, GAUGE_COMMITTED_SEQ, committed, sizeof committed),
		 gauge_text(c, GAUGE_SOURCE_LAST_SEQ, last, sizeof last),
		 gauge_text(c, GAUGE_LAG_MSGS, lag, sizeof lag), c->totals.copied.per_second,
		 totals_counter(&c->totals, COUNTER_COPIED_MSGS),
		 totals_counter(&c->totals, COUNTER_FAILED_MSGS), totals_counter(&c->totals, COUNTER_REWINDS),
		 c->starts > 0 ? c->starts - 1 : 0, values_text(c, values, sizeof values));
}

void
status_log(const struct supervisor *s)
{
	struct mono now = mono_now();
	json_t *wrong = problems(s, now);

	log_info("supervisor", "status: %s, %zu topics, %zu problems, up %.0f s",
		 json_array_size(wrong) == 0 ? "all is well" : "not all is well", s->conf->topic_count,
		 json_array_size(wrong), (double)(now.ns - s->started.ns) / 1e9);
	json_decref(wrong);
	for (size_t i = 0; i < s->children.count; i++)
		if (is_topic(s->children.list[i]))
			log_topic(s->children.list[i], now);
	status_log_elections(s, now);
}
