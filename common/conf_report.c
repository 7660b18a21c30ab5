/* Gathering and ordering the problems of a configuration; see the header. Bounded, so that a hostile file
 * cannot fill memory or log. */
#include "common/conf_report.h"

#include <stdlib.h>

#include "common/xalloc.h"

void
conf_report_add(struct conf_report *r, size_t at, char *text)
{
	if (r->count == CONF_REPORT_MAX) {
		r->omitted++;
		free(text);
		return;
	}
	if (r->problems == NULL)
		r->problems = xcalloc(CONF_REPORT_MAX, sizeof *r->problems);
	r->problems[r->count] = (struct conf_problem){at, r->count, text};
	r->count++;
}

static int
compare(const void *a, const void *b)
{
	const struct conf_problem *pa = a, *pb = b;

	if (pa->at != pb->at)
		return pa->at < pb->at ? -1 : 1;
	return pa->order < pb->order ? -1 : 1;
}

void
conf_report_finish(struct conf_report *r, struct conf_errors *errors)
{
	errors->count = 0;
	errors->text = NULL;
	if (r->count == 0)
		return;
	qsort(r->problems, r->count, sizeof *r->problems, compare);
	errors->text = xcalloc(r->count + 1, sizeof *errors->text);
	for (size_t i = 0; i < r->count; i++)
		errors->text[errors->count++] = r->problems[i].text;
	if (r->omitted > 0)
		errors->text[errors->count++] = xasprintf("and %zu more problems", r->omitted);
	free(r->problems);
	*r = (struct conf_report){0};
}
