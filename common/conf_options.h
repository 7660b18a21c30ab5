/*
 * The one table of all settings. Parser, printer, manual, reload and the map's hash go through it: what is
 * not in it does not exist, and what is in it is everywhere. Pure.
 */
#ifndef SR_COMMON_CONF_OPTIONS_H
#define SR_COMMON_CONF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

struct conf_type; /* common/conf_value.h */

/* Kinds of sections: which settings may stand in one. */
enum conf_section_kind {
	CONF_TOP,
	CONF_TOPIC,
	CONF_TLS,
	CONF_ELECTION,
	CONF_HEARTBEAT,
	CONF_HEARTBEAT_HEADER,
	CONF_HEARTBEAT_SUBJECT,
	CONF_ADVISORY, /* fills fields of its topic */
	/* of later versions */
	CONF_CHORIA,
	CONF_KIND_COUNT,
	CONF_KIND_UNKNOWN = CONF_KIND_COUNT,
	CONF_KIND_LATER = CONF_CHORIA, /* this and those behind it */
};

/* Which section may stand in which. */
struct conf_section {
	enum conf_section_kind parent;
	enum conf_section_kind kind;
	const char *name;
	bool titled; /* has a title, and may be there many times */
	bool later;  /* known, but not supported in this version */
	const char *doc;
};

/* What a reload does with a changed value. */
enum conf_reload {
	CONF_RELOAD_LIVE,    /* the supervisor takes it at once */
	CONF_RELOAD_WORKER,  /* workers that it concerns are replaced */
	CONF_RELOAD_RESTART, /* taken at the next start of the daemon only */
};

#define CONF_REQUIRED  0x1u  /* must be there and not be empty */
#define CONF_LATER     0x2u  /* known, but not supported in this version */
#define CONF_MAP       0x4u  /* decides which source message goes where */
#define CONF_ELECT     0x8u  /* an elector has to know it */
#define CONF_PARTITION 0x10u /* {{partition}} in it is replaced by the number of the partition */
#define CONF_SAMPLED                                                                                         \
	0x20u          /* only of a topic with an inspector: an error in others, and not printed of them */
#define CONF_OLD 0x40u /* another name or place for a setting: read, never printed */

struct conf_option {
	enum conf_section_kind kind;
	const char *name;
	const struct conf_type *type;
	const char *initial; /* default as text; NULL for none, or one that depends on other settings */
	int64_t min, max;    /* of numbers, durations and sizes, in their base unit; 0, 0: no bounds */
	const char *const *choices; /* of a choice: names in the order of the enum, NULL at the end */
	size_t offset;              /* of the field in the struct of its kind of section: struct conf, … */
	unsigned int flags;
	const char *same_as; /* of an old name: the setting of the same section that it means */
	enum conf_reload reload;
	const char *doc; /* for the manual, without the default and bounds, which are written from above */
};

extern const struct conf_option conf_options[];
extern const size_t conf_option_count;
extern const struct conf_section conf_sections[];
extern const size_t conf_section_count;

/* NULL if that kind of section has none of that name. */
const struct conf_option *conf_option_find(enum conf_section_kind kind, const char *name);
const struct conf_section *conf_section_find(enum conf_section_kind parent, const char *name);

/* The known name of a setting or section in that kind of section that looks most like it, or NULL. */
const char *conf_option_nearest(enum conf_section_kind kind, const char *name);

/* The kind of section, in words, that knows a setting or section of that name; NULL if none does. */
const char *conf_option_home(const char *name);

#endif
