# tests/unit/sandbox
check_PROGRAMS += tests/unit/sandbox/policy_test
TESTS += tests/unit/sandbox/policy_test
tests_unit_sandbox_policy_test_SOURCES = %D%/policy_test.c
tests_unit_sandbox_policy_test_LDADD = libsandbox.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/sandbox/spawn_test
TESTS += tests/unit/sandbox/spawn_test
tests_unit_sandbox_spawn_test_SOURCES = %D%/spawn_test.c
tests_unit_sandbox_spawn_test_LDADD = libsandbox.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/sandbox/possessed_test
TESTS += tests/unit/sandbox/possessed_test
tests_unit_sandbox_possessed_test_SOURCES = %D%/possessed_test.c
tests_unit_sandbox_possessed_test_LDADD = libsandbox.la libipc.la $(UNIT_LIBS)

# docs/bulkhead-worker.pod is in step with the table.
TESTS += %D%/policy-manual.sh
EXTRA_DIST += %D%/policy-manual.sh

check_PROGRAMS += tests/unit/sandbox/landlock_test
TESTS += tests/unit/sandbox/landlock_test
tests_unit_sandbox_landlock_test_SOURCES = %D%/landlock_test.c
tests_unit_sandbox_landlock_test_LDADD = libsandbox.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/sandbox/cgroup_test
TESTS += tests/unit/sandbox/cgroup_test
tests_unit_sandbox_cgroup_test_SOURCES = %D%/cgroup_test.c
tests_unit_sandbox_cgroup_test_LDADD = libsandbox.la $(UNIT_LIBS)
