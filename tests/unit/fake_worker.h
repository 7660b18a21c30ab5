/* What the parts of the fake worker share. */
#ifndef SR_TESTS_FAKE_WORKER_H
#define SR_TESTS_FAKE_WORKER_H

#include <event2/event.h>

#include "common/proto.h"

/* Writes to $FAKE_DIR/<topic><suffix>; mode as that of fopen(). */
void fake_trace(const char *suffix, const char *mode, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes what payload holds. */
void fake_send(enum proto_type type, struct strbuf *payload);
void fake_send_state(enum worker_state state, const char *reason);
/* Whether its behaviour is that word. */
bool fake_behaves(const char *word);
void fake_end(int code);

/* Listens on $FAKE_DIR/<topic>.ctl for what to say. */
void fake_elector_init(struct event_base *base, const char *topic);
/* Nothing if it was never made. */
void fake_elector_fini(void);
void fake_elector_frame(const struct proto_frame *f);

/* Samples and advisories: what fake_sampler.c says at each beat and at the end, and what it is told. */
void fake_sampler_beat(void);
void fake_sampler_drain(void);
void fake_sampler_frame(const struct proto_frame *f);

#endif
