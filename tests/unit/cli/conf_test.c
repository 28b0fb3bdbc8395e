/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/conf.h"

#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static enum err
parse (const char *text, struct conf *c, struct fault *f)
{
  return conf_parse ("file", text, strlen (text), c, f);
}

/* text is refused, in that line, with these words and this advice. */
static void
refused (const char *text, unsigned line, const char *words, const char *hint)
{
  struct conf c = {0};
  struct fault f = {0};
  char at[32];

  snprintf (at, sizeof at, "file:%u: ", line);
  CU_ASSERT_NOT_EQUAL (parse (text, &c, &f), ERR_OK);
  if (strncmp (f.text, at, strlen (at)) != 0 || !strstr (f.text, words)
      || !strstr (f.hint, hint)) {
    fprintf (stderr, "\n%s  says: %s; %s\n", text, f.text, f.hint);
    CU_FAIL ("other words");
  }
  conf_free (&c);
}

static void
volumes_are_read (void)
{
  static const char text[] = "# mine\n"
                             "volumes:\n"
                             "  backup:\n"
                             "    url: sftp://me@host/~/disk.img\n"
                             "    identity: ~/.ssh/backup\n"
                             "    connections: 2\n"
                             "  lun.1:\n"
                             "    url: \"iscsi://host/iqn.x:y/1\" # two\n"
                             "    password: +/etc/secret\n"
                             "    device: /dev/nbd3\n";
  struct conf c = {0};
  struct fault f;
  const struct conf_volume *v;

  CU_ASSERT_EQUAL_FATAL (parse (text, &c, &f), ERR_OK);
  CU_ASSERT_EQUAL (c.volumes, 2);
  CU_ASSERT_PTR_NULL (conf_find (&c, "lun"));
  v = conf_find (&c, "backup");
  CU_ASSERT_PTR_NOT_NULL_FATAL (v);
  CU_ASSERT_EQUAL (v->pairs, 3);
  CU_ASSERT_STRING_EQUAL (conf_value (v, "url"), "sftp://me@host/~/disk.img");
  CU_ASSERT_STRING_EQUAL (conf_value (v, "identity"), "~/.ssh/backup");
  CU_ASSERT_STRING_EQUAL (conf_value (v, "connections"), "2");
  CU_ASSERT_EQUAL (v->pair[2].line, 6);
  v = conf_find (&c, "lun.1");
  CU_ASSERT_PTR_NOT_NULL_FATAL (v);
  CU_ASSERT_STRING_EQUAL (conf_value (v, "url"), "iscsi://host/iqn.x:y/1");
  CU_ASSERT_STRING_EQUAL (conf_value (v, "device"), "/dev/nbd3");
  conf_free (&c);
}

static void
the_first_file_counts (void)
{
  struct conf c = {0};
  struct fault f;

  CU_ASSERT_EQUAL (parse ("volumes:\n  a: {url: \"nfs://one/x\"}\n", &c, &f),
                   ERR_OK);
  CU_ASSERT_EQUAL (parse ("volumes:\n  a:\n    url: nfs://two/x\n"
                          "  b:\n    url: nfs://three/x\n",
                          &c, &f),
                   ERR_OK);
  CU_ASSERT_EQUAL_FATAL (c.volumes, 2);
  CU_ASSERT_STRING_EQUAL (conf_value (conf_find (&c, "a"), "url"),
                          "nfs://one/x");
  conf_free (&c);
}

static void
nothing_is_a_configuration (void)
{
  static const char *const texts[] = {
      "", "\n\n", "# words\n", "volumes:\n", "---\n...\n", "volumes: {}\n"};

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct conf c = {0};
    struct fault f = {0};

    CU_ASSERT_EQUAL (parse (texts[i], &c, &f), ERR_OK);
    CU_ASSERT_EQUAL (c.volumes, 0);
    conf_free (&c);
  }
}

static void
unknown_keys_are_told_by_line (void)
{
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    identiy: /k\n", 4,
           "unknown key \"identiy\" in volume a", "did you mean identity?");
  refused ("volumes:\n  a:\n    prefech: 1M\n    url: sftp://h/x\n", 3,
           "prefech", "did you mean prefetch?");
  refused ("volumes:\n  a:\n    url: nfs://h/x\n    conections: 2\n", 4,
           "conections", "did you mean connections?");
  refused ("volumes:\n  a:\n    url: nfs://h/x\n    devise: /dev/nbd1\n", 4,
           "devise", "did you mean device?");
  /* One of another protocol. */
  refused ("volumes:\n  a:\n    url: nfs://h/x\n    identity: /k\n", 4,
           "identity", "man bulkhead-nfs");
  refused ("volume:\n  a:\n", 1, "unknown key \"volume\"", "volumes");
  refused ("volumes:\n  a:\n    url: sftp://h/x\nfrob: 1\n", 4, "frob", "man");
}

static void
other_mistakes_are_told_by_line (void)
{
  refused ("volumes:\n  a:\n    cache: off\n", 2, "volume a has no url",
           "url:");
  refused ("volumes:\n  a:\n    url: ftp://h/x\n", 3, "not a URL", "sftp://");
  refused ("volumes:\n  a:\n    url: sftp://me:pw@h/x\n", 3, "password",
           "password");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    url: sftp://h/y\n", 4,
           "url is here twice", "");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n  a:\n    url: sftp://h/x\n",
           4, "volume a is here twice, first in line 2", "");
  refused ("volumes:\n  a b:\n    url: sftp://h/x\n", 2, "\"a b\"", "letters");
  refused ("volumes:\n  ../a:\n    url: sftp://h/x\n", 2, "\"../a\"",
           "letters");
  refused ("volumes:\n  a: sftp://h/x\n", 2, "stands where", "");
  refused ("volumes:\n  - a\n", 2, "lists", "");
  refused ("volumes:\n  a:\n    url: [1]\n", 3, "lists", "");
  refused ("volumes:\n  a:\n    url: {b: c}\n", 3, "nested", "");
  refused ("volumes:\n  a: &x\n    url: sftp://h/x\n", 2, "anchors", "");
  refused ("volumes:\n  a:\n    url: !!int sftp://h/x\n", 3, "tags", "");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    host: h\n", 4,
           "host belongs into the url", "");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    identity: key\n", 4,
           "does not begin with", "");
  refused ("volumes:\n  a:\n    url: \"sftp://h/x\\n\"\n", 3, "control", "");
  refused ("volumes: x\n", 1, "stands where", "");
  refused ("words\n", 1, "stands where", "");
  refused ("volumes:\n\ta:\n", 2, "", "");
  refused ("volumes:\n  a: \"\n", 3, "", "");
  refused ("volumes: {}\n---\nvolumes: {}\n", 2, "second document", "");
  refused ("volumes: {}\nvolumes: {}\n", 2, "twice", "");
}

static void
no_secret_is_written_here (void)
{
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    password: hunter2\n", 4,
           "password in volume a is not the name of a file", "+/path");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    passphrase: -\"\n", 4, "",
           "");
  refused ("volumes:\n  a:\n    url: sftp://h/x\n    password: +secret\n", 4,
           "does not begin with", "");
}

static void
there_are_limits (void)
{
  CLEANUP_FREE char *text = malloc (CONF_BYTES + 2);
  struct conf c = {0};
  struct fault f;
  size_t n;

  memset (text, '\n', CONF_BYTES + 1);
  CU_ASSERT_EQUAL (conf_parse ("file", text, CONF_BYTES + 1, &c, &f),
                   ERR_LIMIT);
  n = (size_t)sprintf (text, "volumes:\n");
  for (unsigned i = 0; i <= CONF_VOLUMES; i++)
    n += (size_t)sprintf (text + n, "  v%u: {url: \"sftp://h/%u\"}\n", i, i);
  CU_ASSERT_EQUAL (conf_parse ("file", text, n, &c, &f), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "file:514: more than 512"));
  conf_free (&c);
  /* As deep as the parser goes. */
  memset (text, '[', 100000);
  CU_ASSERT_EQUAL (conf_parse ("file", text, 100000, &c, &f), ERR_INVAL);
  conf_free (&c);
  memset (text, 0, 16);
  CU_ASSERT_EQUAL (conf_parse ("file", text, 16, &c, &f), ERR_INVAL);
  conf_free (&c);
}

UNIT_MAIN ("conf", UNIT_TEST (volumes_are_read),
           UNIT_TEST (the_first_file_counts),
           UNIT_TEST (nothing_is_a_configuration),
           UNIT_TEST (unknown_keys_are_told_by_line),
           UNIT_TEST (other_mistakes_are_told_by_line),
           UNIT_TEST (no_secret_is_written_here), UNIT_TEST (there_are_limits))
