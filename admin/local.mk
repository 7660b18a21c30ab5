# The user's commands as a library, for the program and its tests.
noinst_LIBRARIES += libsradmin.a
libsradmin_a_SOURCES = \
	admin/check.c \
	admin/check.h \
	admin/client.c \
	admin/client.h \
	admin/command.c \
	admin/command.h \
	admin/compare.c \
	admin/compare.h \
	admin/connect.c \
	admin/connect.h \
	admin/connect_election.c \
	admin/connect_election.h \
	admin/connect_say.c \
	admin/connect_say.h \
	admin/control_verbs.c \
	admin/control_verbs.h \
	admin/pairing.c \
	admin/pairing.h \
	admin/seqmap.c \
	admin/seqmap.h \
	admin/session.c \
	admin/session.h \
	admin/socket_path.c \
	admin/socket_path.h \
	admin/status.c \
	admin/status.h \
	admin/status_elections.c \
	admin/status_table.c \
	admin/status_table.h \
	admin/step_down.c \
	admin/step_down.h \
	admin/stream_reader.c \
	admin/stream_reader.h \
	admin/table.c \
	admin/table.h \
	admin/values.c \
	admin/values.h \
	admin/verify.c \
	admin/verify.h \
	admin/verify_report.c \
	admin/verify_report.h
