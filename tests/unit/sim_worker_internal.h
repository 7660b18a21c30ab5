/* What sim_worker.c and sim_locate.c share. Nobody else includes this. */
#ifndef SR_TESTS_SIM_WORKER_INTERNAL_H
#define SR_TESTS_SIM_WORKER_INTERNAL_H

#include "tests/unit/sim_worker.h"

extern char sim_source_name[], sim_target_name[];

/* With SIM_TRACE in the environment: what the worker does, for whoever repeats a finding. */
void sim_trace(const struct sim_worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_enter(struct sim_worker *w, enum sim_phase phase);
void sim_halt(struct sim_worker *w, bool by_message);
void sim_fill_checkpoint(const struct sim_worker *w, struct proto_checkpoint *c);
void sim_tell_checkpoint(struct sim_worker *w);
void sim_after_settling(struct sim_worker *w);
/* The first message from seq on that is not deleted. */
uint64_t sim_next_of_source(const struct sim_worker *w, uint64_t seq);

void sim_locate_begin(struct sim_worker *w);
void sim_locate_step(struct sim_worker *w);

#endif
