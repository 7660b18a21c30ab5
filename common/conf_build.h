/*
 * What was set becomes a struct conf: every value checked by its type, defaults filled in, every problem
 * reported at its line. Checks of settings against each other are in conf_check.
 */
#ifndef SR_COMMON_CONF_BUILD_H
#define SR_COMMON_CONF_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/conf_options.h"
#include "common/conf_parse.h"
#include "common/conf_scan.h"

/* A section of the file and what it fills. */
struct conf_built_section {
	/* struct conf, conf_topic, …: that of its kind; of a topic with partitions the first, with the others
	 * behind it; NULL: not looked at */
	void *base;
	enum conf_section_kind kind;
	size_t *set_at; /* for each option of the table: token of its (last) value, CONF_NONE if not set */
};

/* TLS sections of one topic, before the most specific wins. */
struct conf_built_tls {
	struct conf_tls both, source, target;
};

struct conf_build {
	const struct conf_scan *scan;        /* borrowed */
	const struct conf_parsed *parsed;    /* borrowed */
	struct conf *conf;                   /* handed over with conf_build_take */
	struct conf_built_section *sections; /* one for each of the scan */
	size_t *partitions;                  /* of each section of the scan; 0 without that setting */
	size_t topic_count;                  /* of conf */
	size_t *topic_sections;              /* of each topic */
	struct conf_built_tls *tls; /* of each topic; of partitions, only that of the first is used */
};

/* Problems go to the scan's report. */
void conf_build_init(struct conf_build *b, const struct conf_scan *scan, const struct conf_parsed *parsed);
/* Frees all but what conf_build_take has taken. */
void conf_build_fini(struct conf_build *b);
struct conf *conf_build_take(struct conf_build *b);

/* Every text becomes "" or its default, every number its default. */
void conf_build_defaults(enum conf_section_kind kind, void *base);

/* Token of the value of a setting of that section, or of that topic, by whichever of its names; CONF_NONE if
 * it was not set. */
size_t conf_build_place(const struct conf_build *b, size_t section, const char *option);
size_t conf_build_topic_place(const struct conf_build *b, size_t topic, const char *option);
/* The name that it was set by. */
const char *conf_build_name(const struct conf_build *b, size_t section, const char *option);

#endif
