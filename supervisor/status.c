/*
 * The status as JSON. Runs in the supervisor. Field names are a contract with users: added to, never
 * renamed; numbers are numbers, unknown is null, times are RFC 3339.
 */
#include "supervisor/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

/* A topic that is starting or connecting for so long is a trouble, not a phase. */
#define SETTLING_MS 30000

static json_t *
text(const char *value)
{
	struct strbuf clean;
	json_t *o;

	strbuf_init(&clean);
	text_clean(&clean, value, strlen(value));
	o = json_string(clean.data);
	strbuf_fini(&clean);
	return o;
}

static json_t *
number(uint64_t value)
{
	return value == PROTO_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

/* Two digits behind the point are all that means anything; below 0 is unknown. */
static json_t *
real(double value)
{
	return value < 0 ? json_null() : json_real(round(value * 100) / 100);
}

/* A gauge, or what the checkpoint says where no process has reported yet. */
static uint64_t
gauge_or_checkpoint(const struct child *c, enum proto_gauge g, uint64_t from_checkpoint)
{
	uint64_t value = c->totals.gauge[g];

	return value == PROTO_UNKNOWN && c->have_checkpoint ? from_checkpoint : value;
}

static void
add_position(json_t *o, const struct child *c)
{
	const uint64_t *gauge = c->totals.gauge;
	uint64_t lag_ms = gauge[GAUGE_LAG_MS];

	json_object_set_new(o, "source_last_seq", number(gauge[GAUGE_SOURCE_LAST_SEQ]));
	json_object_set_new(o, "committed_seq",
			    number(gauge_or_checkpoint(c, GAUGE_COMMITTED_SEQ, c->checkpoint.source_seq)));
	json_object_set_new(o, "target_seq",
			    number(gauge_or_checkpoint(c, GAUGE_TARGET_SEQ, c->checkpoint.target_seq)));
	json_object_set_new(o, "lag_msgs", number(gauge[GAUGE_LAG_MSGS]));
	json_object_set_new(o, "lag_seconds", real(lag_ms == PROTO_UNKNOWN ? -1 : (double)lag_ms / 1000));
	json_object_set_new(o, "rate_msgs", real(c->totals.copied.per_second));
	json_object_set_new(o, "eta_s", real(totals_eta_s(&c->totals)));
	json_object_set_new(o, "inflight", number(gauge[GAUGE_INFLIGHT_MSGS]));
	json_object_set_new(o, "window", number(gauge[GAUGE_WINDOW_MSGS]));
}

static void
add_counters(json_t *o, const struct child *c)
{
	json_t *all = json_object();

	json_object_set_new(o, "copied", number(totals_counter(&c->totals, COUNTER_COPIED_MSGS)));
	json_object_set_new(o, "skipped", number(totals_counter(&c->totals, COUNTER_SKIPPED_MSGS)));
	json_object_set_new(o, "failed", number(totals_counter(&c->totals, COUNTER_FAILED_MSGS)));
	json_object_set_new(o, "rewinds", number(totals_counter(&c->totals, COUNTER_REWINDS)));
	for (int i = 0; i < COUNTER_END; i++)
		json_object_set_new(all, proto_counter_name((enum proto_counter)i),
				    number(totals_counter(&c->totals, (enum proto_counter)i)));
	json_object_set_new(o, "counters", all);
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
			    lives ? real((double)(now.ns - c->started.ns) / 1e9) : json_null());
	json_object_set_new(o, "paused", json_boolean(c->paused));
	json_object_set_new(o, "last_exit", c->last_exit[0] != '\0' ? text(c->last_exit) : json_null());
	json_object_set_new(o, "last_exit_time",
			    c->last_exit[0] != '\0'
				? json_string(rfc3339_format(time, sizeof time, c->last_exit_ms))
				: json_null());
}

static json_t *
topic_status(const struct child *c, struct mono now)
{
	json_t *o = json_object();
	char reason[PROTO_MAX_TEXT + 256];
	enum worker_state state = child_shown_state(c, now, reason, sizeof reason);

	json_object_set_new(o, "name", text(c->key));
	json_object_set_new(o, "worker", text(c->worker));
	json_object_set_new(o, "state", json_string(worker_state_name(state)));
	json_object_set_new(o, "reason", text(reason));
	json_object_set_new(o, "role", json_string("none"));
	json_object_set_new(o, "term", json_null());
	add_process(o, c, now);
	add_position(o, c);
	add_counters(o, c);
	return o;
}

/* What is wrong with a topic, in words for "problems"; false if nothing is. */
static bool
topic_problem(const struct child *c, struct mono now, struct strbuf *out)
{
	char reason[PROTO_MAX_TEXT + 256];
	enum worker_state state = child_shown_state(c, now, reason, sizeof reason);

	switch (state) {
	case WORKER_STARTING:
	case WORKER_CONNECTING:
		if (mono_ms_between(c->reported_since, now) < SETTLING_MS)
			return false;
		break;
	case WORKER_HOLDING:
	case WORKER_HALTED:
	case WORKER_WAITING:
		break;
	default:
		return false;
	}
	strbuf_addf(out, "topic \"%s\": %s", c->key, worker_state_name(state));
	if (reason[0] != '\0')
		strbuf_addf(out, ": %s", reason);
	return true;
}

static json_t *
problems(const struct supervisor *s, struct mono now)
{
	json_t *all = json_array();
	struct strbuf words;

	strbuf_init(&words);
	if (store_problem(s->store)[0] != '\0') {
		strbuf_addf(&words, "state: %s", store_problem(s->store));
		json_array_append_new(all, text(words.data));
	}
	for (size_t i = 0; i < s->children.count; i++) {
		strbuf_reset(&words);
		if (!s->children.list[i]->gone && topic_problem(s->children.list[i], now, &words))
			json_array_append_new(all, text(words.data));
	}
	strbuf_fini(&words);
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
	json_object_set_new(o, "name", text(s->conf->name));
	json_object_set_new(o, "node", text(node));
	json_object_set_new(o, "version", json_string(SR_VERSION));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "uptime_s", real((double)(now.ns - s->started.ns) / 1e9));
	json_object_set_new(o, "stopping", json_boolean(s->children.stopping));
	json_object_set_new(o, "config", text(s->options->config_path));
	json_object_set_new(o, "state_problem",
			    store_problem(s->store)[0] != '\0' ? text(store_problem(s->store)) : json_null());
	add_verdict(o, wrong);
	for (size_t i = 0; i < s->children.count; i++)
		if (!s->children.list[i]->gone)
			json_array_append_new(topics, topic_status(s->children.list[i], now));
	json_object_set_new(o, "topics", topics);
	json_object_set_new(o, "elections", json_array());
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

static void
log_topic(const struct child *c, struct mono now)
{
	char reason[PROTO_MAX_TEXT + 256], committed[24], last[24], lag[24];
	enum worker_state state = child_shown_state(c, now, reason, sizeof reason);

	log_info(c->key,
		 "status: %s%s%s; committed %s of %s, lag %s, %.1f messages/s, %" PRIu64 " copied, %" PRIu64
		 " failed, %" PRIu64 " rewinds, %u restarts",
		 worker_state_name(state), reason[0] != '\0' ? ": " : "", reason,
		 gauge_text(c, GAUGE_COMMITTED_SEQ, committed, sizeof committed),
		 gauge_text(c, GAUGE_SOURCE_LAST_SEQ, last, sizeof last),
		 gauge_text(c, GAUGE_LAG_MSGS, lag, sizeof lag), c->totals.copied.per_second,
		 totals_counter(&c->totals, COUNTER_COPIED_MSGS),
		 totals_counter(&c->totals, COUNTER_FAILED_MSGS), totals_counter(&c->totals, COUNTER_REWINDS),
		 c->starts > 0 ? c->starts - 1 : 0);
}

void
status_log(const struct supervisor *s)
{
	struct mono now = mono_now();
	json_t *wrong = problems(s, now);

	log_info("supervisor", "status: %s, %zu topics, %zu problems, up %.0f s",
		 json_array_size(wrong) == 0 ? "all is well" : "not all is well", s->children.count,
		 json_array_size(wrong), (double)(now.ns - s->started.ns) / 1e9);
	json_decref(wrong);
	for (size_t i = 0; i < s->children.count; i++)
		if (!s->children.list[i]->gone)
			log_topic(s->children.list[i], now);
}
