/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/url.h"

#include <string.h>

#include "tests/unit/unit.h"

static void
check_of (const char *proto, const char *url, const char *user,
          const char *host, const char *port, const char *path)
{
  static struct volume_spec s;
  struct fault f;
  const char *want[] = {user, host, port, path};
  const char *keys[] = {"user", "host", "port", "path"};

  memset (&s, 0, sizeof s);
  CU_ASSERT_EQUAL_FATAL (url_parse (url, &s, &f), ERR_OK);
  CU_ASSERT_STRING_EQUAL (s.proto, proto);
  for (int i = 0; i < 4; i++) {
    const char *got = volume_spec_get (&s, keys[i]);

    if (!want[i])
      CU_ASSERT_PTR_NULL (got)
    else {
      CU_ASSERT_PTR_NOT_NULL_FATAL (got);
      CU_ASSERT_STRING_EQUAL (got, want[i]);
    }
  }
}

static void
check (const char *url, const char *user, const char *host, const char *port,
       const char *path)
{
  check_of ("sftp", url, user, host, port, path);
}

static void
urls_of_other_protocols (void)
{
  check_of ("iscsi", "iscsi://h/iqn.2003-01.org.example:disk.1/0", NULL, "h",
            NULL, "/iqn.2003-01.org.example:disk.1/0");
  check_of ("iscsi", "iscsi://me@[::1]:3261/iqn.x:y", "me", "::1", "3261",
            "/iqn.x:y");
  check_of ("iscsi", "iscsi://h", NULL, "h", NULL, "");
  check_of ("iscsi", "iscsi://h:1/", NULL, "h", "1", "/");
  check_of ("nfs", "nfs://h:2050/srv/a%20b.img", NULL, "h", "2050",
            "/srv/a b.img");
}

static void
good_urls (void)
{
  check ("sftp://h/x", NULL, "h", NULL, "/x");
  check ("SFTP://me@host.example:2222/a/b.img", "me", "host.example", "2222",
         "/a/b.img");
  check ("sftp://h/~/disk%20one.img", NULL, "h", NULL, "/~/disk one.img");
  check ("sftp://[::1]:22/x", NULL, "::1", "22", "/x");
  check ("sftp://127.0.0.1/a%3Fb%23c", NULL, "127.0.0.1", NULL, "/a?b#c");
  check ("sftp://a%40b@h//x", "a@b", "h", NULL, "//x");
}

static void
bad_urls_have_words (void)
{
  static const char *const bad[] = {
    "",
    "x",
    "/etc/passwd",
    "ftp://h/x",
    "sftp:",
    "sftp://",
    "sftp:///x",
    "sftp://h",
    "sftp://u:secret@h/x",
    "sftp://h/x?y=1",
    "sftp://h/x#y",
    "sftp://h/a b",
    "sftp://h/%",
    "sftp://h/%zz",
    "sftp://h/%00",
    "sftp://h:port/x",
    "sftp://[::1/x",
    "averyveryverylongscheme://h/x",
    "nfs://me@h/x",
    "nfs://h",
    "iscsi://h?x",
    "iscsi://u:secret@h/iqn.x/0",
  };
  static struct volume_spec s;
  struct fault f;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    memset (&f, 0, sizeof f);
    memset (&s, 0, sizeof s);
    CU_ASSERT (url_parse (bad[i], &s, &f) != ERR_OK);
    CU_ASSERT (strlen (f.text) > 10);
    CU_ASSERT_PTR_NULL (strstr (f.text, "secret"));
  }
}

static void
what_is_wrong_is_hinted_at (void)
{
  static const struct {
    const char *url, *hint;
  } table[] = {
    {"sftp://h:22x/x", "no number: \"22x\""},
    {"sftp://me@h:ssh/x", "no number: \"ssh\""},
    {"sftp://a:b@c@h:x/x", "no number: \"x\""},
    {"sftp://::1/x", "in brackets"},
    {"sftp://fe80::1:22/x", "in brackets"},
    {"sftp://h/a b", "as %20"},
    {"sftp://h:22/a b", "as %20"},
    {"sftp://[::1/x", "looks like"},
    {"ssh://h/x", "SSH servers are sftp://"},
    {"averyveryverylongscheme://h/x", "begin it with one of"},
  };
  static struct volume_spec s;
  struct fault f;

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    memset (&f, 0, sizeof f);
    memset (&s, 0, sizeof s);
    CU_ASSERT_EQUAL (url_parse (table[i].url, &s, &f), ERR_INVAL);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, table[i].hint));
  }
}

static void
long_urls_are_bounded (void)
{
  static char url[70000];
  static struct volume_spec s;
  struct fault f;

  for (size_t n = 1000; n < sizeof url; n += 3000) {
    memset (url, 'a', sizeof url);
    memcpy (url, "sftp://h/", 9);
    url[n] = 0;
    memset (&s, 0, sizeof s);
    CU_ASSERT_EQUAL (url_parse (url, &s, &f) == ERR_OK, n < 8192);
  }
}

UNIT_MAIN ("url", UNIT_TEST (good_urls), UNIT_TEST (urls_of_other_protocols),
           UNIT_TEST (bad_urls_have_words),
           UNIT_TEST (what_is_wrong_is_hinted_at),
           UNIT_TEST (long_urls_are_bounded))
