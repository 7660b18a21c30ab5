/*
 * One message of a sampled topic: whether it is copied; part of the replicator, and of its hot path.
 *
 * Judged is what filters, loops and max_age leave over, each message once in source order. What was sent
 * before a rewind and what is at the target already is copied whatever the rules say, or the map would
 * change. A message without a value is copied.
 */
#include <string.h>

#include "worker/replicator_internal.h"
#include "worker/sampling.h"

enum { REPLY_EVERY_MS = 5 };

void
sampling_inspect(const struct replicator *r, const struct nats_message *m, struct inspect_result *result)
{
	const struct inspect_message in = {m->subject, m->headers, m->headers_len, m->data, m->data_len};

	inspect_message(r->sampling->inspector, &in, result);
}

static void
count_copied(struct replicator *r, enum sampler_verdict verdict)
{
	r->stats.counter[COUNTER_SAMPLE_PASSED]++;
	switch (verdict) {
	case SAMPLER_FORCED:
		r->stats.counter[COUNTER_FORCED_MSGS]++;
		break;
	case SAMPLER_SIZE:
		r->stats.counter[COUNTER_SIZE_TRIGGERED_MSGS]++;
		break;
	case SAMPLER_UNTRACKED:
		r->stats.counter[COUNTER_UNTRACKED_MSGS]++;
		if (!r->sampling->full_told)
			replicator_incident(r, "values_full",
					    "%u values are tracked (inspect_max_values); messages of others "
					    "are all copied",
					    r->topic->sampling.max_values);
		r->sampling->full_told = true;
		break;
	default:
		break;
	}
}

static bool
skip(struct replicator *r)
{
	r->stats.counter[COUNTER_SAMPLE_SKIPPED]++;
	r->stats.counter[COUNTER_SKIPPED_MSGS]++;
	return true;
}

/* A message that has a value. */
static bool
skips_value(struct replicator *r, const struct sample_value *value, const struct sampler_message *m)
{
	struct sampler *sampler = r->sampling->sampler;
	enum sampler_verdict verdict;

	r->stats.counter[COUNTER_SAMPLE_SEEN]++;
	if (value->changed)
		r->stats.counter[COUNTER_VALUES_CUT]++;
	if (m->seq <= r->sampling->plan.known_until) {
		/* The table has its copy, or has forgotten the value since: it is not new once more. */
		if (m->must_copy)
			return false;
		sampler_recall_seen(sampler, value, m->stored_ms, m->size, wall_ms());
		return skip(r);
	}
	verdict = sampler_offer(sampler, value, m, wall_ms());
	if (verdict == SAMPLER_SKIP)
		return skip(r);
	if (seqset_has(&r->passed_over, m->seq)) { /* rejected before: it is seen alone */
		sampler_not_copied(sampler, m->seq);
		return true;
	}
	count_copied(r, verdict);
	return false;
}

bool
sampling_skips(struct replicator *r, const struct nats_message *m, uint64_t seq, int64_t stored_ms)
{
	struct inspect_result found;
	struct sampler_message message = {
	    .seq = seq,
	    .stored_ms = stored_ms,
	    .size = m->data_len,
	    .must_copy = seqset_has(&r->there, seq) || seqset_has(&r->decided, seq),
	};

	if (!r->sampling->ready)
		sampling_replayed(r);
	sampling_inspect(r, m, &found);
	if (found.broken)
		r->stats.counter[COUNTER_SAMPLE_ERRORS]++;
	if (found.value.len == 0) {
		r->stats.counter[COUNTER_WITHOUT_VALUE_MSGS]++;
		return false;
	}
	message.forced = found.forced;
	return skips_value(r, &found.value, &message);
}

bool
sampling_wants_reply(const struct replicator *r, struct mono now)
{
	return mono_ms_between(r->sampling->asked, now) >= REPLY_EVERY_MS;
}

const char *
sampling_value_line(const struct replicator *r, const struct nats_message *m, struct inspect_result *result)
{
	if (!r->sampling->value_line)
		return NULL;
	sampling_inspect(r, m, result);
	/* A folded header's line end would end ours. */
	return result->value.len > 0 && strpbrk(result->value.text, "\r\n") == NULL ? result->value.text
										    : NULL;
}
