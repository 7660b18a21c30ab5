/*
 * Requests of the JetStream API, structs to JSON, and the comparison of what a server made of them; used
 * by workers and commands. Pure. Servers before 2.12 ignore what they do not know and answer success.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/nats/jsapi.h"

int
jsapi_subject(char *out, size_t out_size, const char *domain, const char *fmt, ...)
{
	bool none = domain == NULL || *domain == '\0';
	int used, more;
	va_list ap;

	used = snprintf(out, out_size, none ? "$JS.API." : "$JS.%s.API.", none ? "" : domain);
	if (used < 0 || (size_t)used >= out_size)
		return -1;
	va_start(ap, fmt);
	more = vsnprintf(out + used, out_size - (size_t)used, fmt, ap);
	va_end(ap);
	return more < 0 || (size_t)(used + more) >= out_size ? -1 : used + more;
}

static const char *
ack_policy(const struct jsapi_consumer_request *r)
{
	if (r->ack_none)
		return "none";
	return r->ack_explicit ? "explicit" : "all";
}

static const char *
deliver_policy(const struct jsapi_consumer_request *r)
{
	if (r->last_per_subject)
		return "last_per_subject";
	if (r->start_seq > 0)
		return "by_start_sequence";
	return r->start_time_ns > 0 ? "by_start_time" : "all";
}

static void
set_start(const struct jsapi_consumer_request *r, json_t *config)
{
	char base[RFC3339_SIZE], text[RFC3339_SIZE + 16];

	json_object_set_new(config, "deliver_policy", json_string(deliver_policy(r)));
	if (r->start_seq > 0)
		json_object_set_new(config, "opt_start_seq", json_integer((json_int_t)r->start_seq));
	else if (r->start_time_ns > 0) {
		/* "…:05.678Z" with the nanoseconds in place of the milliseconds */
		rfc3339_format(base, sizeof base, r->start_time_ns / 1000000);
		snprintf(text, sizeof text, "%.19s.%09lldZ", base,
			 (long long)(r->start_time_ns % 1000000000));
		json_object_set_new(config, "opt_start_time", json_string(text));
	}
}

static json_t *
filter_list(const struct jsapi_consumer_request *r)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < r->filter_count; i++)
		json_array_append_new(list, json_string(r->filters[i]));
	return list;
}

static void
set_positive(json_t *config, const char *key, int64_t value)
{
	if (value > 0)
		json_object_set_new(config, key, json_integer(value));
}

static json_t *
consumer_config(const struct jsapi_consumer_request *r)
{
	json_t *config = json_object();

	json_object_set_new(config, "name", json_string(r->name));
	if (r->durable)
		json_object_set_new(config, "durable_name", json_string(r->name));
	json_object_set_new(config, "ack_policy", json_string(ack_policy(r)));
	json_object_set_new(config, "replay_policy", json_string("instant"));
	set_start(r, config);
	if (r->filter_count == 1)
		json_object_set_new(config, "filter_subject", json_string(r->filters[0]));
	else if (r->filter_count > 1)
		json_object_set_new(config, "filter_subjects", filter_list(r));
	if (r->headers_only)
		json_object_set_new(config, "headers_only", json_true());
	if (r->memory) {
		json_object_set_new(config, "mem_storage", json_true());
		json_object_set_new(config, "num_replicas", json_integer(1));
	}
	if (r->max_ack_pending != 0 && !r->ack_none)
		json_object_set_new(config, "max_ack_pending", json_integer(r->max_ack_pending));
	if (r->deliver_subject != NULL)
		json_object_set_new(config, "deliver_subject", json_string(r->deliver_subject));
	set_positive(config, "idle_heartbeat", r->idle_heartbeat_ns);
	set_positive(config, "ack_wait", r->ack_wait_ns);
	set_positive(config, "inactive_threshold", r->inactive_threshold_ns);
	return config;
}

void
jsapi_write_consumer(const struct jsapi_consumer_request *r, struct strbuf *out)
{
	json_t *request = json_object();
	char *text;

	json_object_set_new(request, "stream_name", json_string(r->stream));
	json_object_set_new(request, "config", consumer_config(r));
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text != NULL)
		strbuf_adds(out, text);
	free(text);
}

void
jsapi_write_pull(struct strbuf *out, uint64_t batch, uint64_t max_bytes, int64_t expires_ns,
		 int64_t idle_heartbeat_ns)
{
	strbuf_addf(out, "{\"batch\":%llu", (unsigned long long)batch);
	if (max_bytes > 0)
		strbuf_addf(out, ",\"max_bytes\":%llu", (unsigned long long)max_bytes);
	if (expires_ns > 0)
		strbuf_addf(out, ",\"expires\":%lld", (long long)expires_ns);
	if (idle_heartbeat_ns > 0)
		strbuf_addf(out, ",\"idle_heartbeat\":%lld", (long long)idle_heartbeat_ns);
	strbuf_adds(out, "}");
}

/* ---- what the server made of it -------------------------------------------------------------------- */

/* The differences that are found, as one text. */
struct differences {
	struct strbuf text;
	size_t count;
};

static void
differs(struct differences *d, const char *key, const char *asked, const char *got)
{
	strbuf_addf(&d->text, "%s%s: asked for %s, got %s", d->count > 0 ? "; " : "", key, asked, got);
	d->count++;
}

static void
check_text(struct differences *d, const json_t *config, const char *key, const char *asked)
{
	const char *got = json_string_value(json_object_get(config, key));

	if (got == NULL || strcmp(got, asked) != 0)
		differs(d, key, asked, got != NULL ? got : "nothing");
}

static void
check_number(struct differences *d, const json_t *config, const char *key, int64_t asked)
{
	int64_t got = (int64_t)json_integer_value(json_object_get(config, key));
	char a[32], b[32];

	if (got == asked)
		return;
	snprintf(a, sizeof a, "%lld", (long long)asked);
	snprintf(b, sizeof b, "%lld", (long long)got);
	differs(d, key, a, b);
}

static void
check_flag(struct differences *d, const json_t *config, const char *key, bool asked)
{
	bool got = json_is_true(json_object_get(config, key));

	if (got != asked)
		differs(d, key, asked ? "true" : "false", got ? "true" : "false");
}

static void
check_start_time(struct differences *d, const json_t *config, int64_t asked)
{
	const char *text = json_string_value(json_object_get(config, "opt_start_time"));
	int64_t got = 0;

	if (text == NULL || rfc3339_parse(text, &got) < 0 || got != asked)
		differs(d, "opt_start_time", "a time", text != NULL ? text : "nothing");
}

static bool
lists(const json_t *list, const char *filter)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) if (json_is_string(item) &&
					      strcmp(json_string_value(item), filter) == 0) return true;
	return false;
}

/* The same filters, whichever of the two ways they are written. */
static bool
same_filters(const struct jsapi_consumer_request *r, const json_t *config)
{
	const char *one = json_string_value(json_object_get(config, "filter_subject"));
	const json_t *list = json_object_get(config, "filter_subjects");
	size_t i, got = json_array_size(list) + (one != NULL && *one != '\0' ? 1 : 0);

	if (got != r->filter_count)
		return false;
	for (i = 0; i < r->filter_count; i++)
		if (!lists(list, r->filters[i]) && (one == NULL || strcmp(one, r->filters[i]) != 0))
			return false;
	return true;
}

/* A stream whose only subject is the filter may drop it: it filters nothing. */
static void
check_filters(struct differences *d, const struct jsapi_consumer_request *r, const json_t *config,
	      bool *ignored)
{
	*ignored = !same_filters(r, config);
	if (!*ignored)
		return;
	if (r->filter_count > 1)
		differs(d, "filter_subjects", "several filters",
			"others (servers before 2.10 know only one filter)");
	else
		differs(d, "filter_subject", r->filter_count == 1 ? r->filters[0] : "none", "another");
}

int
jsapi_check_consumer(const struct jsapi_consumer_request *r, const struct jsapi_consumer *got,
		     bool *filters_ignored, struct error *e)
{
	struct differences d = {.count = 0};
	const json_t *config = got->config;
	int result = 0;

	strbuf_init(&d.text);
	check_text(&d, config, "ack_policy", ack_policy(r));
	check_text(&d, config, "deliver_policy", deliver_policy(r));
	if (r->start_seq > 0)
		check_number(&d, config, "opt_start_seq", (int64_t)r->start_seq);
	else if (r->start_time_ns > 0)
		check_start_time(&d, config, r->start_time_ns);
	check_filters(&d, r, config, filters_ignored);
	check_flag(&d, config, "headers_only", r->headers_only);
	check_flag(&d, config, "mem_storage", r->memory);
	if (r->durable)
		check_text(&d, config, "durable_name", r->name);
	if (r->deliver_subject != NULL)
		check_text(&d, config, "deliver_subject", r->deliver_subject);
	if (r->idle_heartbeat_ns > 0)
		check_number(&d, config, "idle_heartbeat", r->idle_heartbeat_ns);
	if (r->ack_wait_ns > 0 && !r->ack_none)
		check_number(&d, config, "ack_wait", r->ack_wait_ns);
	if (r->inactive_threshold_ns > 0)
		check_number(&d, config, "inactive_threshold", r->inactive_threshold_ns);
	if (d.count > 0)
		result =
		    error_set(e, ERR_CONFLICT, "consumer \"%s\": the server does not do what was asked: %s",
			      r->name, d.text.data);
	strbuf_fini(&d.text);
	return result;
}
