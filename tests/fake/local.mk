# fake

check_PROGRAMS += tests/fake/sbx-probe
tests_fake_sbx_probe_SOURCES = %D%/sbx-probe.c %D%/sbx-probe.h
tests_fake_sbx_probe_LDADD = libsandbox.la
