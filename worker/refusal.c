/* The table of refusals; runs in a replicating worker. An answer that it does not know holds the topic:
 * nothing is passed over because of a code that a newer server invented. */
#include "worker/refusal.h"

#include <string.h>
#include <strings.h>

#include "common/array.h"

struct row {
	int err_code;
	enum refusal_action action;
	const char *cure;
};

static const struct row rows[] = {
    {10071, REFUSAL_REWIND, ""},        /* wrong last sequence */
    {10164, REFUSAL_REWIND, ""},        /* the same, newer servers */
    {10158, REFUSAL_REWIND, ""},        /* duplicate in process: not known yet */
    {10008, REFUSAL_REWIND, ""},        /* no leader yet */
    {10167, REFUSAL_REWIND_SLOWER, ""}, /* too many requests: the ingest queue is full */
    {10077, REFUSAL_HOLD, "make room in the target stream, or raise its limits"}, /* store failed: full */
    {10047, REFUSAL_HOLD, "give the target's JetStream more storage"},
    {10023, REFUSAL_HOLD, "give the target's JetStream more resources"},
    {10028, REFUSAL_HOLD, "give the target's JetStream more memory"},
    {10002, REFUSAL_HOLD, "raise the limits of the target's account"},
    {10035, REFUSAL_HOLD, "enable JetStream for the target's account"},
    {10039, REFUSAL_HOLD, "enable JetStream for the target's account"},
    {10076, REFUSAL_HOLD, "enable JetStream at the target"},
    {10109, REFUSAL_HOLD, "the target stream is sealed: name another target_stream"},
    {10054, REFUSAL_REJECT, "raise max_msg_size of the target stream, or set on_reject"},
    {10097, REFUSAL_REJECT, "shorten the headers at the sender, or set on_reject"},
    {10165, REFUSAL_REJECT, "correct its Nats-TTL header at the sender, or set on_reject"},
    {10060, REFUSAL_HOLD, "the target stream has another name than the topic expects"},
    {10070, REFUSAL_REWIND, ""}, /* wrong last message id: not ours */
};

struct refusal
refusal_classify(const struct jsapi_error *error, bool reject_subject_full)
{
	if (error->err_code == 10077 && reject_subject_full &&
	    strstr(error->description, "per subject") != NULL)
		return (struct refusal){REFUSAL_REJECT, "raise max_msgs_per_subject of the target stream"};
	for (size_t i = 0; i < array_len(rows); i++)
		if (rows[i].err_code == error->err_code)
			return (struct refusal){rows[i].action, rows[i].cure};
	if (error->code == 429)
		return (struct refusal){REFUSAL_REWIND_SLOWER, ""};
	if (error->code == 503)
		return (struct refusal){REFUSAL_REWIND, ""};
	return (struct refusal){REFUSAL_HOLD, "see what the target's server says of it"};
}

struct refusal
refusal_of_async_error(const char *text)
{
	if (strcasestr(text, "permissions violation for publish") != NULL)
		return (struct refusal){REFUSAL_HOLD, "allow the replicator's user to publish there"};
	return (struct refusal){REFUSAL_REWIND, ""};
}
