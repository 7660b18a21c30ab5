/* A long random use of the tracker next to a model of plain arrays; fails the test where they differ. */
#ifndef SR_TESTS_TRACKER_MODEL_H
#define SR_TESTS_TRACKER_MODEL_H

#include <stdint.h>

#include "tests/unit/unit.h"

/* As ck_assert(), which notes each time where it is; too slow for what is done millions of times. */
#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			ck_abort_msg("not so: %s", #cond);                                                   \
	} while (0)

/* The same seed does the same. */
void tracker_model_run(uint64_t seed, unsigned steps);

#endif
