/* Values of the status as JSON. Runs in the supervisor; pure. */
#include "supervisor/status_json.h"

#include <math.h>
#include <string.h>

#include "common/text.h"

/* A child that is starting or connecting for so long is a trouble, not a phase. */
#define SETTLING_MS 30000

json_t *
status_text(const char *value)
{
	struct strbuf clean;
	json_t *o;

	strbuf_init(&clean);
	text_clean(&clean, value, strlen(value));
	o = json_string(clean.data);
	strbuf_fini(&clean);
	return o;
}

json_t *
status_text_or_null(const char *value)
{
	return value[0] != '\0' ? status_text(value) : json_null();
}

json_t *
status_number(uint64_t value)
{
	return value == PROTO_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

json_t *
status_number_or_null(uint64_t value)
{
	return value == 0 ? json_null() : json_integer((json_int_t)value);
}

json_t *
status_real(double value)
{
	return value < 0 ? json_null() : json_real(round(value * 100) / 100);
}

json_t *
status_time(int64_t epoch_ms)
{
	char time[RFC3339_SIZE];

	return epoch_ms == 0 ? json_null() : json_string(rfc3339_format(time, sizeof time, epoch_ms));
}

bool
status_child_problem(const struct child *c, const char *label, struct mono now, struct strbuf *out)
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
	strbuf_addf(out, "%s: %s", label, worker_state_name(state));
	if (reason[0] != '\0')
		strbuf_addf(out, ": %s", reason);
	return true;
}
