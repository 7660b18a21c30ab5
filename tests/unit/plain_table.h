/*
 * In place of worker/sampler.c: a table without rules, of values "v<number>", that tells of what the test
 * changes and takes what comes by the newest `seen`.
 */
#ifndef SR_TESTS_PLAIN_TABLE_H
#define SR_TESTS_PLAIN_TABLE_H

#include "worker/sampler.h"

enum { FAKE_ROWS = 300000 };

struct fake_row {
	bool used, queued, forgotten;
	int64_t seen_ms, copied_ms;
	uint32_t size;
};

struct sampler {
	struct listening listening;
	struct fake_row *rows;
	uint32_t used;
	uint32_t *queue; /* ring */
	uint64_t put, taken;
	bool marked;
	uint64_t mark;
	uint64_t source_seq, target_seq; /* settled */
	struct sample_note mark_note;
	bool held; /* what waits is not given out */
	bool urgent;
	uint64_t adopted_seq; /* of the target */
	uint64_t merged;
	char value[16];
};

struct sampler *plain_table_new(void);
/* The value v<n> was seen; gossip is to be told. */
void plain_table_change(struct sampler *s, uint32_t n, int64_t seen_ms, uint64_t target_seq);
const struct fake_row *plain_table_row(const struct sampler *s, uint32_t n);

#endif
