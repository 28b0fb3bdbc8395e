check_PROGRAMS += tests/unit/cli/conf_test tests/unit/cli/files_test
TESTS += tests/unit/cli/conf_test tests/unit/cli/files_test
tests_unit_cli_conf_test_SOURCES = %D%/conf_test.c
tests_unit_cli_conf_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)
tests_unit_cli_files_test_SOURCES = %D%/files_test.c
tests_unit_cli_files_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cli/attach_state_test
TESTS += tests/unit/cli/attach_state_test
tests_unit_cli_attach_state_test_SOURCES = %D%/attach_state_test.c
tests_unit_cli_attach_state_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cli/nbdkit_test
TESTS += tests/unit/cli/nbdkit_test
tests_unit_cli_nbdkit_test_SOURCES = %D%/nbdkit_test.c
tests_unit_cli_nbdkit_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cli/supervisor_test tests/unit/cli/sweep_test
TESTS += tests/unit/cli/supervisor_test tests/unit/cli/sweep_test
tests_unit_cli_supervisor_test_SOURCES = %D%/supervisor_test.c %D%/kernel.c \
	%D%/kernel.h
tests_unit_cli_supervisor_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)
tests_unit_cli_sweep_test_SOURCES = %D%/sweep_test.c %D%/kernel.c %D%/kernel.h
tests_unit_cli_sweep_test_LDADD = $(CLI_LIBS) $(UNIT_LIBS)
