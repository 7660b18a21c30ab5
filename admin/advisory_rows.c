/* Advisories as rows of a listing. The JSON's fields are a contract: added to, never renamed. What outsiders
 * wrote into a stream is shown as what it may be: a time that is none, or an age below zero, is not known. */
#include "admin/advisory_rows.h"

#include <math.h>
#include <string.h>

#include "admin/values.h"
#include "common/array.h"

static const struct listing_column columns[] = {{"TIME", 19, false}, {"EVENT", 7, false},
						{"AGE", 9, true},    {"SEEN", 19, false},
						{"BY", 12, false},   {"VALUE", 0, false}};

void
advisory_rows_init(struct listing *l, FILE *out, enum listing_form form)
{
	listing_init(l, out, form, columns, array_len(columns));
}

static json_t *
text_or_null(const char *text)
{
	return *text == '\0' ? json_null() : values_json_text(text, strlen(text));
}

static bool
has_age(const struct advisory_read *a)
{
	return isfinite(a->age_s) && a->age_s >= 0;
}

/* Most are whole seconds, and stay whole numbers. */
static json_t *
json_age(const struct advisory_read *a)
{
	if (!has_age(a))
		return json_null();
	if (a->age_s == floor(a->age_s) && a->age_s < 1e15)
		return json_integer((json_int_t)a->age_s);
	return json_real(a->age_s);
}

static json_t *
make_object(const struct advisory_read *a)
{
	json_t *o = json_object();

	json_object_set_new(o, "time", values_json_time(values_ms_of_seconds(a->timestamp_s)));
	json_object_set_new(o, "event", json_string(advisory_event_name(a->event)));
	json_object_set_new(o, "value", values_json_text(a->value, strlen(a->value)));
	json_object_set_new(o, "seen", values_json_time(values_ms_of_seconds(a->seen_s)));
	json_object_set_new(o, "age", json_age(a));
	json_object_set_new(o, "replicator", text_or_null(a->replicator));
	json_object_set_new(o, "event_id", text_or_null(a->event_id));
	return o;
}

static bool
write_cells(struct listing *l, const struct advisory_read *a)
{
	char time[VALUES_TIME_SIZE], seen[VALUES_TIME_SIZE], age[40];
	const char *const cells[] = {
	    values_time(values_ms_of_seconds(a->timestamp_s), time, sizeof time),
	    advisory_event_name(a->event),
	    values_duration(has_age(a) ? a->age_s : -1, age, sizeof age),
	    values_time(values_ms_of_seconds(a->seen_s), seen, sizeof seen),
	    *a->replicator != '\0' ? a->replicator : "-",
	    a->value,
	};
	_Static_assert(array_len(cells) == array_len(columns), "a cell for each column");

	return listing_cells(l, cells);
}

bool
advisory_row(struct listing *l, const struct advisory_read *a)
{
	return l->form == LISTING_TABLE ? write_cells(l, a) : listing_object(l, make_object(a));
}
