# state.db: the only folder that includes sqlite3.h. Link with $(SQLITE_LIBS).
noinst_LIBRARIES += libsrstate.a
libsrstate_a_SOURCES = \
	state/dbfile.c \
	state/dbfile.h \
	state/memory.c \
	state/memory.h \
	state/outbox.c \
	state/outbox.h \
	state/reader.c \
	state/reader.h \
	state/rows.c \
	state/rows.h \
	state/samples.c \
	state/samples.h \
	state/schema.c \
	state/schema.h \
	state/state.h \
	state/tables.c \
	state/tables.h \
	state/writer.c
