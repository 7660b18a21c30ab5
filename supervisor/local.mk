# The supervisor as a library, for the program and its tests.
noinst_LIBRARIES += libsrsupervisor.a
libsrsupervisor_a_SOURCES = \
	supervisor/child.c \
	supervisor/child.h \
	supervisor/child_frames.c \
	supervisor/child_samples.c \
	supervisor/children.c \
	supervisor/children.h \
	supervisor/control.c \
	supervisor/control.h \
	supervisor/daemon.c \
	supervisor/daemon.h \
	supervisor/elections.c \
	supervisor/elections.h \
	supervisor/job.c \
	supervisor/job.h \
	supervisor/leaders.c \
	supervisor/leaders.h \
	supervisor/notify.c \
	supervisor/notify.h \
	supervisor/reload.c \
	supervisor/reload.h \
	supervisor/request.c \
	supervisor/request.h \
	supervisor/restart.c \
	supervisor/restart.h \
	supervisor/spawn.c \
	supervisor/spawn.h \
	supervisor/status.c \
	supervisor/status.h \
	supervisor/status_elections.c \
	supervisor/status_elections.h \
	supervisor/status_json.c \
	supervisor/status_json.h \
	supervisor/store.c \
	supervisor/store.h \
	supervisor/supervisor.c \
	supervisor/supervisor.h \
	supervisor/throttle.c \
	supervisor/throttle.h \
	supervisor/totals.c \
	supervisor/totals.h \
	supervisor/verbs.c

# The one program that users call: supervisor and commands.
sbin_PROGRAMS += stream-replicator
stream_replicator_SOURCES = supervisor/main.c
stream_replicator_LDADD = libsrsupervisor.a libsradmin.a libsrstate.a libsrcommon.a \
	$(NATS_LIBS) $(CONFUSE_LIBS) $(EVENT_LIBS) $(SQLITE_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
