/* What `verify` found, for people and for programs, and how far it is. Pure but for the bar. */
#ifndef SR_ADMIN_VERIFY_REPORT_H
#define SR_ADMIN_VERIFY_REPORT_H

#include <stdbool.h>

#include "admin/compare.h"
#include "common/clock.h"
#include "common/strbuf.h"

struct verify_subject {
	const char *topic, *source_stream, *target_stream;
	uint64_t from, to; /* source sequences that were compared; to below from: there are none */
};

void verify_report_text(struct strbuf *out, const struct verify_subject *what,
			const struct compare_report *r);
void verify_report_json(struct strbuf *out, const struct verify_subject *what,
			const struct compare_report *r);

/* The bar's line: done of total, speed, time left. */
void verify_report_bar(struct strbuf *out, uint64_t done, uint64_t total, int64_t elapsed_ms);

#endif
