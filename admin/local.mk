# The user's commands as a library, for the program and its tests.
noinst_LIBRARIES += libsradmin.a
libsradmin_a_SOURCES = \
	admin/check.c \
	admin/check.h \
	admin/client.c \
	admin/client.h \
	admin/command.c \
	admin/command.h \
	admin/control_verbs.c \
	admin/control_verbs.h \
	admin/socket_path.c \
	admin/socket_path.h \
	admin/status.c \
	admin/status.h \
	admin/status_table.c \
	admin/status_table.h
