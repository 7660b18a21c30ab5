/*
 * The problems of a configuration, gathered while it is read and checked, and put in the order of its lines
 * at the end: checks that need the whole file run after those that need one value. Pure.
 */
#ifndef SR_COMMON_CONF_REPORT_H
#define SR_COMMON_CONF_REPORT_H

#include <stddef.h>

#include "common/conf.h"

#define CONF_REPORT_MAX 200 /* further problems are counted only */

struct conf_problem {
	size_t at;    /* position in reading order: what it is sorted by */
	size_t order; /* and among equals, the order of finding */
	char *text;
};

struct conf_report {
	struct conf_problem *problems;
	size_t count;
	size_t omitted;
};

/* Takes text. */
void conf_report_add(struct conf_report *r, size_t at, char *text);

/* Moves the texts to *errors in order; *r is empty afterwards. */
void conf_report_finish(struct conf_report *r, struct conf_errors *errors);

#endif
