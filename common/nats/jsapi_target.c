/*
 * The configuration of a target stream made from its source's; used by workers and `check --connect`.
 * Pure. What is taken over stands in a list: whatever a newer server invents (schedules, counters,
 * markers, …) must not make the target grow or refuse by itself. max_msg_size is not in it, for a copy
 * is larger than its original by the headers that tell its origin.
 */
#include <string.h>

#include "common/nats/jsapi.h"
#include "common/subject.h"

static const char *const taken_over[] = {
    "description",          "retention",         "max_msgs",     "max_bytes",   "max_age",
    "max_msgs_per_subject", "max_consumers",     "storage",      "discard",     "discard_new_per_subject",
    "duplicate_window",     "allow_rollup_hdrs", "allow_direct", "deny_delete", "deny_purge",
    "compression",          "allow_msg_ttl",     "allow_atomic",
};

static void
copy_taken_over(const json_t *from, json_t *to)
{
	json_t *value;
	size_t i;

	for (i = 0; i < sizeof taken_over / sizeof taken_over[0]; i++) {
		value = json_object_get(from, taken_over[i]);
		if (value != NULL)
			json_object_set_new(to, taken_over[i], json_deep_copy(value));
	}
}

/* What people wrote there; the server's own notes are about the source. */
static void
copy_metadata(const json_t *from, json_t *to)
{
	json_t *metadata = json_object();
	const char *key;
	json_t *value;

	json_object_foreach(json_object_get(from, "metadata"), key, value)
	{
		if (strncmp(key, "_nats.", 6) != 0)
			json_object_set(metadata, key, value);
	}
	if (json_object_size(metadata) > 0)
		json_object_set(to, "metadata", metadata);
	json_decref(metadata);
}

/* Adds a subject unless one of the list contains it; takes out those it contains. */
static void
add_subject(json_t *list, const char *subject)
{
	size_t i = 0;

	while (i < json_array_size(list)) {
		const char *other = json_string_value(json_array_get(list, i));

		if (subject_filter_contains(other, subject))
			return;
		if (subject_filter_contains(subject, other))
			json_array_remove(list, i);
		else
			i++;
	}
	json_array_append_new(list, json_string(subject));
}

static int
add_mapped(json_t *list, const char *prefix, const char *remove, const char *subject, struct error *e)
{
	char mapped[SUBJECT_MAX];

	if (subject == NULL || subject_map(prefix, remove, subject, mapped, sizeof mapped) < 0)
		return error_set(
		    e, ERR_CONFIG,
		    "target stream: subject \"%s\" mapped with prefix \"%s\" and removed \"%s\" is no valid "
		    "subject; change target_subject_prefix or target_subject_remove",
		    subject != NULL ? subject : "", prefix, remove);
	add_subject(list, mapped);
	return 0;
}

static int
map_subjects(const struct jsapi_stream *source, json_t *list, const char *prefix, const char *remove,
	     const char *const *filters, size_t filter_count, struct error *e)
{
	const json_t *own = json_object_get(source->config, "subjects");
	const json_t *subject;
	size_t i;

	for (i = 0; i < filter_count; i++)
		if (add_mapped(list, prefix, remove, filters[i], e) < 0)
			return -1;
	if (filter_count > 0)
		return 0;
	json_array_foreach(own, i, subject)
	{
		if (add_mapped(list, prefix, remove, json_string_value(subject), e) < 0)
			return -1;
	}
	/* Also a stream with sources may hold subjects that it does not list. */
	if (json_array_size(own) > 0 && !source->has_sources)
		return 0;
	return error_set(
	    e, ERR_CONFIG,
	    "target stream: source stream \"%s\" gets its messages from other streams, so its subjects are "
	    "not known; create the target stream or set filter_subject",
	    source->name);
}

json_t *
jsapi_target_config(const struct jsapi_stream *source, const char *target_name, const char *prefix,
		    const char *remove, const char *const *filters, size_t filter_count, int max_replicas,
		    struct error *e)
{
	json_t *config = json_object();
	json_t *subjects = json_array();
	int replicas = source->replicas < max_replicas ? source->replicas : max_replicas;

	json_object_set_new(config, "name", json_string(target_name));
	json_object_set_new(config, "subjects", subjects);
	if (map_subjects(source, subjects, prefix, remove, filters, filter_count, e) < 0) {
		json_decref(config);
		return NULL;
	}
	copy_taken_over(source->config, config);
	copy_metadata(source->config, config);
	/* With interest and nobody listening yet, what is copied would be gone at once. */
	if (source->retention == RETENTION_INTEREST)
		json_object_set_new(config, "retention", json_string("limits"));
	json_object_set_new(config, "num_replicas", json_integer(replicas > 1 ? replicas : 1));
	return config;
}
