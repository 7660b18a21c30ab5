# The worker: what a topic's process does. worker/main.c is the program, the rest a library that tests link too.
noinst_LIBRARIES += libsrworker.a
libsrworker_a_SOURCES = \
	worker/acklist.c \
	worker/acklist.h \
	worker/bucket.c \
	worker/bucket.h \
	worker/bucket_internal.h \
	worker/bucket_ops.c \
	worker/bucket_watch.c \
	worker/bucket_watch.h \
	worker/compose.c \
	worker/compose.h \
	worker/copy.c \
	worker/elector.c \
	worker/elector.h \
	worker/elector_internal.h \
	worker/elector_names.c \
	worker/elector_presence.c \
	worker/ends.c \
	worker/figures.c \
	worker/gap.c \
	worker/gap.h \
	worker/go_consumer.c \
	worker/go_consumer.h \
	worker/gossip_peers.c \
	worker/gossip_peers.h \
	worker/gossiper.c \
	worker/gossiper.h \
	worker/gossiper_internal.h \
	worker/gossiper_join.c \
	worker/gossiper_send.c \
	worker/gossiper_serve.c \
	worker/heartbeat.c \
	worker/heartbeat.h \
	worker/inspect.c \
	worker/inspect.h \
	worker/lead.c \
	worker/lease.c \
	worker/lease.h \
	worker/lease_answers.c \
	worker/lease_internal.h \
	worker/lease_state.c \
	worker/listening.c \
	worker/listening.h \
	worker/locate.c \
	worker/locate.h \
	worker/others.c \
	worker/pipeline.c \
	worker/pipeline.h \
	worker/poll.c \
	worker/position.c \
	worker/position.h \
	worker/position_rewind.c \
	worker/presence.c \
	worker/presence.h \
	worker/progress.c \
	worker/provision.c \
	worker/provision.h \
	worker/reader.c \
	worker/reader.h \
	worker/refusal.c \
	worker/refusal.h \
	worker/reject.c \
	worker/replicator.c \
	worker/replicator.h \
	worker/replicator_internal.h \
	worker/replicator_make.c \
	worker/role.h \
	worker/role_elect.c \
	worker/role_heartbeat.c \
	worker/role_replicate.c \
	worker/scan.c \
	worker/scan.h \
	worker/sentlist.c \
	worker/sentlist.h \
	worker/seqset.c \
	worker/seqset.h \
	worker/sink.c \
	worker/sink.h \
	worker/slots.c \
	worker/slots.h \
	worker/source.c \
	worker/source.h \
	worker/source_ack.c \
	worker/source_internal.h \
	worker/throttle.c \
	worker/throttle.h \
	worker/tracker.c \
	worker/tracker.h \
	worker/tracker_index.c \
	worker/tracker_internal.h \
	worker/tracker_pages.c \
	worker/tracker_queue.c \
	worker/tracker_wheel.c \
	worker/watchdog.c \
	worker/watchdog.h \
	worker/worker.c \
	worker/worker.h

srlibexecdir = $(libexecdir)/stream-replicator
srlibexec_PROGRAMS = worker/worker
worker_worker_SOURCES = worker/main.c
worker_worker_LDADD = libsrworker.a libsrcommon.a \
	$(NATS_LIBS) $(CONFUSE_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
