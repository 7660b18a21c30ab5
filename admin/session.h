/*
 * A connection of a user's command to one end of a topic, and questions that wait for their answer: what
 * asks runs the loop meanwhile.
 */
#ifndef SR_ADMIN_SESSION_H
#define SR_ADMIN_SESSION_H

#include <event2/event.h>

#include "common/conf.h"
#include "common/nats/ask.h"
#include "common/nats/jsapi.h"
#include "common/origin.h"
#include "common/strbuf.h"

struct session;

/* The two ends of a topic. */
enum session_side { SESSION_SOURCE, SESSION_TARGET };

/* Connects, and waits for it: some tries within 4 s, or one that takes longer. NULL with *e, which names the
 * end. The topic must outlive the session. */
struct session *session_open(struct event_base *base, const struct conf_topic *topic, enum session_side side,
			     struct error *e);
/* The same to any servers; label for texts, domain "" for none. Strings must outlive the session. */
struct session *session_open_at(struct event_base *base, const char *label, const char *url,
				const struct conf_tls *tls, const char *domain, struct error *e);
void session_free(struct session **s);

const char *session_label(const struct session *s); /* "source", "target", or as given */
const struct ask_end *session_end(const struct session *s);
struct event_base *session_base(const struct session *s);

/* A right that the server refused since the last question: its words, "" for none. */
const char *session_violation(const struct session *s);

/* Told of each loss of the connection (up false, reason in words) and of each that was made again. */
typedef void session_watch_fn(void *arg, bool up, const char *reason);
void session_watch(struct session *s, session_watch_fn *fn, void *arg);

/*
 * Asks the JetStream API (fmt: its subject behind "$JS.API.") and waits. 0 with the answer's body in *reply
 * (which is reset first); -1 with *e: ERR_DENIED where the server refuses us the right to ask, ERR_NOT_FOUND
 * where nobody answers to it, else ERR_IO.
 */
int session_ask(struct session *s, const char *body, struct strbuf *reply, struct error *e, const char *fmt,
		...) __attribute__((format(printf, 5, 6)));
/* As session_ask, on a subject of its own and with header lines: a publish that waits for its answer. */
int session_publish(struct session *s, const char *subject, const char *header_lines, struct strbuf *reply,
		    struct error *e);
/* A publish that nobody answers: 0 if the server let it pass, -1 with ERR_DENIED if not. */
int session_try_publish(struct session *s, const char *subject, const char *header_lines, const char *body,
			struct error *e);
/* A subscription that ends at once: the same. */
int session_try_subscribe(struct session *s, const char *subject, struct error *e);
/* Waits until the server has read all that was published. */
void session_flush(struct session *s);

/* STREAM.INFO. 0: *out is filled. 1: the server's error is in *err. -1: *e. */
int session_stream(struct session *s, const char *stream, struct jsapi_stream *out, struct jsapi_error *err,
		   struct error *e);
/* STREAM.MSG.GET by sequence, or with seq 0 the newest under filter. As session_stream. */
int session_message(struct session *s, const char *stream, uint64_t seq, const char *filter,
		    struct jsapi_stored *out, struct jsapi_error *err, struct error *e);
/* The origin of a message at the target, which is fetched like that: 0 if it is a copy of the topic, 1 if
 * there is no such message or it is none. *ordered is false for one that was written beside other writers. */
int session_origin(struct session *s, const struct conf *conf, const struct conf_topic *topic, uint64_t seq,
		   const char *filter, struct origin *o, bool *ordered, struct error *e);
/* CONSUMER.CREATE of an ephemeral one. As session_stream. */
int session_consumer(struct session *s, const struct jsapi_consumer_request *request,
		     struct jsapi_consumer *out, struct jsapi_error *err, struct error *e);

#endif
