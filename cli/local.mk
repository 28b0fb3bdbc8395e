# The subcommands and what they share; main.c apart, so that tests can link it.
noinst_LTLIBRARIES += libcli.la
libcli_la_SOURCES = \
	%D%/attach.c \
	%D%/attach_state.c %D%/attach_state.h \
	%D%/bench.c \
	%D%/block.c %D%/block.h \
	%D%/block_use.c \
	%D%/cli.h \
	%D%/commands.c %D%/commands.h \
	%D%/completion.c \
	%D%/copy.c \
	%D%/copy_state.c %D%/copy_state.h \
	%D%/detach.c \
	%D%/discover.c \
	%D%/doctor.c \
	%D%/end.c %D%/end.h \
	%D%/files.c %D%/files.h \
	%D%/help.c \
	%D%/list.c \
	%D%/nbd_kernel.c %D%/nbd_kernel.h \
	%D%/nbd_session.c %D%/nbd_session.h \
	%D%/nbdkit.c %D%/nbdkit.h \
	%D%/notify.c %D%/notify.h \
	%D%/output.c %D%/output.h \
	%D%/parse.c \
	%D%/probe.c \
	%D%/progress.c \
	%D%/serve.c \
	%D%/serve_check.c %D%/serve_check.h \
	%D%/serve_socket.c %D%/serve_socket.h \
	%D%/session.c %D%/session.h \
	%D%/status.c \
	%D%/supervisor.c %D%/supervisor.h \
	%D%/supervisor_child.c %D%/supervisor_child.h \
	%D%/sweep.c %D%/sweep.h \
	%D%/target.c %D%/target.h \
	%D%/top.c \
	%D%/units.c %D%/units.h \
	%D%/view.c %D%/view.h \
	%D%/view_json.c
libcli_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(LIBNBD_CFLAGS) \
	$(LIBNL_CFLAGS) $(NCURSES_CFLAGS) $(OPENSSL_CFLAGS) \
	-DBULKHEAD_PLUGINDIR='"$(plugindir)"'
CLI_LIBS = libcli.la libcliconf.la libsandbox.la $(GATEWAY_LIBS) \
	$(JANSSON_LIBS) $(LIBNBD_LIBS) $(LIBNL_LIBS) $(NCURSES_LIBS) $(OPENSSL_LIBS)

# The configuration's parser, apart: it takes bytes of any kind.
noinst_LTLIBRARIES += libcliconf.la
libcliconf_la_SOURCES = \
	%D%/conf.c %D%/conf.h \
	%D%/conf_load.c
libcliconf_la_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS) \
	-DBULKHEAD_CONFDIR='"$(confdir)"'
libcliconf_la_LIBADD = $(YAML_LIBS)

bin_PROGRAMS += bulkhead
bulkhead_SOURCES = %D%/main.c
bulkhead_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
bulkhead_LDADD = $(CLI_LIBS)

# Completion of shells, out of the program's own tables, where they look for it.
bash_completiondir = $(datadir)/bash-completion/completions
zsh_completiondir = $(datadir)/zsh/vendor-completions
fish_completiondir = $(datadir)/fish/vendor_completions.d
nodist_bash_completion_DATA = completions/bash/bulkhead
nodist_zsh_completion_DATA = completions/zsh/_bulkhead
nodist_fish_completion_DATA = completions/fish/bulkhead.fish
COMPLETIONS = $(nodist_bash_completion_DATA) $(nodist_zsh_completion_DATA) \
	$(nodist_fish_completion_DATA)
CLEANFILES += $(COMPLETIONS)
$(COMPLETIONS): bulkhead$(EXEEXT)
	$(AM_V_GEN)shell=`basename $(@D)` && $(MKDIR_P) $(@D) \
	  && ./bulkhead$(EXEEXT) completion $$shell >$@.tmp && mv $@.tmp $@
