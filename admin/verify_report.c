/* Text and JSON of `verify`. The JSON's fields are a contract: added to, never renamed. */
#include "admin/verify_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/values.h"

#define SHOWN     20 /* of each list, in the text */
#define BAR_WIDTH 30

/* ---- text ---------------------------------------------------------------------------------------- */

static void
add_what(struct strbuf *out, uint8_t what)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} parts[] = {{COMPARE_SUBJECT, "subject"}, {COMPARE_HEADERS, "headers"}, {COMPARE_BODY, "body"}};
	const char *before = " (";

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if ((what & parts[i].bit) == 0)
			continue;
		strbuf_addf(out, "%s%s", before, parts[i].name);
		before = ", ";
	}
	if (what != 0)
		strbuf_adds(out, ")");
}

static void
add_list(struct strbuf *out, const char *name, const char *of, const struct compare_list *l)
{
	char number[32];
	size_t i;

	if (l->count == 0)
		return;
	strbuf_addf(out, "  %-10s %s: %s sequence%s ", name,
		    values_count((json_int_t)l->count, number, sizeof number), of, l->count == 1 ? "" : "s");
	for (i = 0; i < l->listed && i < SHOWN; i++) {
		strbuf_addf(out, "%s%" PRIu64, i > 0 ? ", " : "", l->items[i].seq);
		add_what(out, l->items[i].what);
	}
	strbuf_adds(out, l->count > i ? ", …\n" : "\n");
}

static void
add_count(struct strbuf *out, uint64_t count, const char *text)
{
	char number[32];

	if (count > 0)
		strbuf_addf(out, "  %s %s\n", values_count((json_int_t)count, number, sizeof number), text);
}

void
verify_report_text(struct strbuf *out, const struct verify_subject *what, const struct compare_report *r)
{
	char a[32], b[32];

	if (what->to < what->from)
		strbuf_addf(out, "%s: no source sequences to compare\n", what->topic);
	else
		strbuf_addf(out,
			    "%s: source sequences %" PRIu64 " to %" PRIu64 " of %s, and their copies in %s\n",
			    what->topic, what->from, what->to, what->source_stream, what->target_stream);
	strbuf_addf(out, "  %s messages, %s copies\n", values_count((json_int_t)r->source_msgs, a, sizeof a),
		    values_count((json_int_t)r->target_msgs, b, sizeof b));
	add_list(out, "missing", "source", &r->missing);
	add_list(out, "extra", "target", &r->extra);
	add_list(out, "changed", "source", &r->changed);
	add_list(out, "reordered", "source", &r->reordered);
	add_count(out, r->not_compared, "of the reordered came too late to be compared");
	add_count(out, r->loops, "passed over: they have been at the target's site or here before");
	add_count(out, r->too_old, "passed over: older than max_age");
	add_count(out, r->sampled, "passed over, as far as can be told: the topic is sampled");
	add_count(out, r->rejected, "passed over: rejected, see the incidents");
	add_count(out, r->before_start, "passed over: from before the topic's start");
	add_count(out, r->source_gone,
		  "copies not compared: the source does not hold their messages any more");
	add_count(out, r->repeats, "copies not compared: of another start of an ephemeral topic");
	add_count(out, r->foreign, "messages of other writers at the target");
	strbuf_adds(out, r->equal ? "equal\n" : "NOT EQUAL\n");
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
list(const struct compare_list *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->listed; i++)
		json_array_append_new(array, number(l->items[i].seq));
	return array;
}

void
verify_report_json(struct strbuf *out, const struct verify_subject *what, const struct compare_report *r)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "equal", json_boolean(r->equal));
	json_object_set_new(o, "source_msgs", number(r->source_msgs));
	json_object_set_new(o, "target_msgs", number(r->target_msgs));
	json_object_set_new(o, "missing", list(&r->missing));
	json_object_set_new(o, "extra", list(&r->extra));
	json_object_set_new(o, "changed", list(&r->changed));
	json_object_set_new(o, "reordered", list(&r->reordered));
	json_object_set_new(o, "missing_msgs", number(r->missing.count));
	json_object_set_new(o, "extra_msgs", number(r->extra.count));
	json_object_set_new(o, "changed_msgs", number(r->changed.count));
	json_object_set_new(o, "reordered_msgs", number(r->reordered.count));
	json_object_set_new(o, "not_compared_msgs", number(r->not_compared));
	json_object_set_new(o, "loop_msgs", number(r->loops));
	json_object_set_new(o, "too_old_msgs", number(r->too_old));
	json_object_set_new(o, "sampled_msgs", number(r->sampled));
	json_object_set_new(o, "rejected_msgs", number(r->rejected));
	json_object_set_new(o, "before_start_msgs", number(r->before_start));
	json_object_set_new(o, "source_gone_msgs", number(r->source_gone));
	json_object_set_new(o, "repeated_msgs", number(r->repeats));
	json_object_set_new(o, "foreign_msgs", number(r->foreign));
	json_object_set_new(o, "topic", json_string(what->topic));
	json_object_set_new(o, "from", number(what->from));
	json_object_set_new(o, "to", number(what->to));
	text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(o);
	strbuf_adds(out, text != NULL ? text : "{}");
	strbuf_adds(out, "\n");
	free(text);
}

/* ---- the bar ------------------------------------------------------------------------------------- */

void
verify_report_bar(struct strbuf *out, uint64_t done, uint64_t total, int64_t elapsed_ms)
{
	double rate = elapsed_ms > 0 ? (double)done * 1000 / (double)elapsed_ms : 0;
	double part = total > 0 ? (double)done / (double)total : 0;
	char a[32], b[32], c[32], left[64];
	int full;

	if (part > 1)
		part = 1;
	full = (int)(part * BAR_WIDTH);
	strbuf_adds(out, "[");
	for (int i = 0; i < BAR_WIDTH; i++)
		strbuf_adds(out, i < full ? "#" : ".");
	strbuf_addf(out, "] %3d%%  %s of %s  %s/s", (int)(part * 100),
		    values_count((json_int_t)done, a, sizeof a), values_count((json_int_t)total, b, sizeof b),
		    values_count((json_int_t)rate, c, sizeof c));
	if (rate > 0 && done < total)
		strbuf_addf(out, "  %s left",
			    values_duration((double)(total - done) / rate, left, sizeof left));
}
