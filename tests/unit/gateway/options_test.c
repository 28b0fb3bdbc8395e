/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocols/params.h"
#include "tests/unit/unit.h"

static char home[] = "/tmp/bh-options-XXXXXX";
static struct options o;
static struct fault f;
static const struct log quiet;

static int
secret_reader (const char *value, char **ret)
{
  *ret = strdup (value[0] == '-' ? "from prompt" : "from file");
  return *ret ? 0 : -1;
}

static void
file (const char *name, mode_t mode)
{
  char path[300];
  int fd;

  snprintf (path, sizeof path, "%s/%s", home, name);
  fd = open (path, O_CREAT | O_WRONLY | O_TRUNC, mode);
  CU_ASSERT_FATAL (fd >= 0);
  fchmod (fd, mode);
  close (fd);
}

/* "url key=value key=value …" */
static enum err
resolve (const char *text)
{
  char copy[1000], *save = NULL;
  enum err e = ERR_OK;

  options_free (&o);
  memset (&o, 0, sizeof o);
  memset (&f, 0, sizeof f);
  snprintf (copy, sizeof copy, "%s", text);
  for (char *word = strtok_r (copy, " ", &save); word && !e;
       word = strtok_r (NULL, " ", &save)) {
    char *eq = strchr (word, '=');

    if (eq)
      *eq = 0;
    e = options_add (&o, eq ? word : "url", eq ? eq + 1 : word, &f);
  }
  return e ? e : options_resolve (&o, &quiet, secret_reader, &f);
}

static void
setup (void)
{
  char path[300];

  if (strchr (home, 'X') && mkdtemp (home)) {
    snprintf (path, sizeof path, "%s/.ssh", home);
    mkdir (path, 0700);
    setenv ("HOME", home, 1);
    unsetenv ("SSH_AUTH_SOCK");
  }
}

static void
defaults_are_filled_in (void)
{
  setup ();
  CU_ASSERT_EQUAL_FATAL (resolve ("sftp://h/x"), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "port"), "22");
  CU_ASSERT_PTR_NOT_NULL (volume_spec_get (&o.spec, "user"));
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "allow-unsafe-flush"),
                          "no");
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "identity"));
  CU_ASSERT_FALSE (o.readonly);
  CU_ASSERT_EQUAL (resolve ("sftp://me@h:77/x readonly=on"), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "port"), "77");
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "user"), "me");
  CU_ASSERT_TRUE (o.readonly);
}

/* What a server knows us by is the same the next time, and another one for
 * another daemon of ours.
 */
static void
a_daemon_is_one_client (void)
{
  char first[40];

  setup ();
  setenv ("BULKHEAD_RUNTIME_DIR", "/nowhere/one", 1);
  CU_ASSERT_EQUAL_FATAL (resolve ("nfs://h/x"), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (strlen (volume_spec_get (&o.spec, "client-id")), 16);
  strcpy (first, volume_spec_get (&o.spec, "client-id"));
  CU_ASSERT_EQUAL_FATAL (resolve ("nfs://h/y"), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "client-id"), first);
  setenv ("BULKHEAD_RUNTIME_DIR", "/nowhere/two", 1);
  CU_ASSERT_EQUAL_FATAL (resolve ("nfs://h/x"), ERR_OK);
  CU_ASSERT_STRING_NOT_EQUAL (volume_spec_get (&o.spec, "client-id"), first);
  unsetenv ("BULKHEAD_RUNTIME_DIR");
  CU_ASSERT_EQUAL_FATAL (resolve ("nfs://h/x client-id=me"), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "client-id"), "me");
}

static void
what_cannot_be_together (void)
{
  setup ();
  CU_ASSERT_EQUAL (resolve ("nfs://h/x resize=1G"), ERR_OK);
  CU_ASSERT_EQUAL (resolve ("nfs://h/x resize=1G readonly=no"), ERR_OK);
  CU_ASSERT_EQUAL (resolve ("nfs://h/x resize=1G readonly=yes"), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "readonly=yes forbids"));
  CU_ASSERT_EQUAL (resolve ("nfs://h/x connections=2 exclusive=yes"), ERR_OK);
  /* Who names certificates does not mean clear text. */
  CU_ASSERT_EQUAL (resolve ("nfs://h/x tls-certificates=/tmp"), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "needs xprtsec=tls or mtls"));
  CU_ASSERT_EQUAL (resolve ("nfs://h/x tls-certificates=/tmp xprtsec=none"),
                   ERR_INVAL);
}

static void
default_keys_come_in_order (void)
{
  setup ();
  file (".ssh/id_rsa", 0600);
  file (".ssh/id_ecdsa", 0640); /* others may read it: not used */
  file (".ssh/id_ed25519", 0600);
  file (".ssh/known_hosts", 0644);
  CU_ASSERT_EQUAL_FATAL (resolve ("sftp://h/x"), ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (
    strstr (volume_spec_get (&o.spec, "identity"), "id_ed25519"));
  CU_ASSERT_PTR_NOT_NULL_FATAL (volume_spec_get (&o.spec, "identity-2"));
  CU_ASSERT_PTR_NOT_NULL (
    strstr (volume_spec_get (&o.spec, "identity-2"), "id_rsa"));
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "identity-3"));
  CU_ASSERT (o.fds >= 3);
  CU_ASSERT (o.fd[volume_spec_fd (&o.spec, "known-hosts")] >= 0);
}

static void
files_are_checked (void)
{
  char text[600];

  setup ();
  file ("open_key", 0644);
  file ("key", 0600);
  snprintf (text, sizeof text, "sftp://h/x identity=%s/open_key", home);
  CU_ASSERT_EQUAL (resolve (text), ERR_ACCESS);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "chmod 600"));
  snprintf (text, sizeof text, "sftp://h/x identity=%s/key", home);
  CU_ASSERT_EQUAL (resolve (text), ERR_OK);
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "identity-2"));
  snprintf (text, sizeof text, "sftp://h/x identity=%s", home);
  CU_ASSERT_EQUAL (resolve (text), ERR_INVAL);
  CU_ASSERT_EQUAL (resolve ("sftp://h/x known-hosts=/nonexistent"),
                   ERR_NOENT);
}

static void
secrets_never_stand_in_the_spec (void)
{
  char buf[40] = "";
  int fd;

  setup ();
  CU_ASSERT_EQUAL_FATAL (resolve ("sftp://h/x password=+/some/file"), ERR_OK);
  fd = o.fd[volume_spec_fd (&o.spec, "password")];
  CU_ASSERT_EQUAL (read (fd, buf, sizeof buf), 9);
  CU_ASSERT_STRING_EQUAL (buf, "from file");
  CU_ASSERT_PTR_NULL (
    memmem (&o.spec, sizeof o.spec, "from file", 9));
  CU_ASSERT_EQUAL (resolve ("sftp://h/x password=hunter2"), ERR_INVAL);
  CU_ASSERT_PTR_NULL (strstr (f.text, "hunter2"));
}

static void
the_agent_is_connected_by_us (void)
{
  struct sockaddr_un sa = {.sun_family = AF_UNIX};
  char text[300];
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  snprintf (sa.sun_path, sizeof sa.sun_path, "%s/agent", home);
  CU_ASSERT_FATAL (bind (listener, (struct sockaddr *)&sa, sizeof sa) == 0
                   && listen (listener, 10) == 0);
  snprintf (text, sizeof text, "sftp://h/f agent=%s", sa.sun_path);
  CU_ASSERT_EQUAL (resolve (text), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&o.spec, "agent"), sa.sun_path);
  CU_ASSERT (volume_spec_fd (&o.spec, "agent") >= 0);
  CU_ASSERT_EQUAL (resolve ("sftp://h/f"), ERR_OK);
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "agent"));
  CU_ASSERT_EQUAL (resolve ("sftp://h/f agent=yes"), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "SSH_AUTH_SOCK"));
  setenv ("SSH_AUTH_SOCK", sa.sun_path, 1);
  CU_ASSERT_EQUAL (resolve ("sftp://h/f"), ERR_OK);
  CU_ASSERT (volume_spec_fd (&o.spec, "agent") >= 0);
  CU_ASSERT_EQUAL (resolve ("sftp://h/f agent=yes"), ERR_OK);
  CU_ASSERT (volume_spec_fd (&o.spec, "agent") >= 0);
  CU_ASSERT_EQUAL (resolve ("sftp://h/f agent=off"), ERR_OK);
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "agent"));
  CU_ASSERT_EQUAL (resolve ("sftp://h/f agent=maybe"), ERR_INVAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "agent=no"));
  close (listener);
  unlink (sa.sun_path);
  /* an old name in the environment is no agent; one that was named must be */
  CU_ASSERT_EQUAL (resolve ("sftp://h/f"), ERR_OK);
  CU_ASSERT_PTR_NULL (volume_spec_get (&o.spec, "agent"));
  CU_ASSERT_EQUAL (resolve ("sftp://h/f agent=yes"), ERR_NOENT);
  unsetenv ("SSH_AUTH_SOCK");
}

static void
mistakes_have_words (void)
{
  static const struct {
    const char *text, *words;
  } bad[] = {
    {"readonly=yes", "no URL"},
    {"sftp://h/x prot=1", "port="},
    {"sftp://h/x nothing-like-it=1", "--help"},
    {"sftp://h/x user=a user=b", "twice"},
    {"sftp://h:5/x port=6", "URL already"},
    {"sftp://h/x host=h", "URL already"},
    {"sftp://h/x port=0", "from 1 to 65535"},
    {"sftp://h/x port=22x", "from 1 to 65535"},
    {"sftp://h/x port=-1", "from 1 to 65535"},
    {"sftp://h/x port=+1", "from 1 to 65535"},
    {"sftp://h:99999/x", "from 1 to 65535"},
    {"sftp://h/x readonly=maybe", "neither yes nor no"},
    {"sftp://h/x user=", "empty"},
    {"sftp://h/x allow-unsafe-flush=2", "neither yes nor no"},
    {"sftp://h/x retain=100", "0, or from 4M to 2048M"},
    {"sftp://h/x retain=1M", "0, or from 4M to 2048M"},
    {"sftp://h/x retain=4095K", "0, or from 4M to 2048M"},
    {"sftp://h/x retain=3000M", "0, or from 4M to 2048M"},
    {"sftp://h/x retain=1G", "a size such as 64M"},
    {"sftp://h/x prefetch=9M", "up to 8M"},
  };

  setup ();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CU_ASSERT (resolve (bad[i].text) != ERR_OK);
    CU_ASSERT (strstr (f.text, bad[i].words) || strstr (f.hint, bad[i].words));
  }
}

static void
sizes_have_units (void)
{
  setup ();
  CU_ASSERT_EQUAL (resolve ("sftp://h/x"), ERR_OK);
  CU_ASSERT_EQUAL (o.link.retain_bytes, 64u << 20);
  CU_ASSERT_EQUAL (resolve ("sftp://h/x retain=0 prefetch=300"), ERR_OK);
  CU_ASSERT_EQUAL (o.link.retain_bytes, 0);
  CU_ASSERT_EQUAL (o.link.prefetch_bytes, 300);
  CU_ASSERT_EQUAL (resolve ("sftp://h/x retain=2048m prefetch=8K"), ERR_OK);
  CU_ASSERT_EQUAL (o.link.retain_bytes, 2048u << 20);
  CU_ASSERT_EQUAL (o.link.prefetch_bytes, 8192);
  CU_ASSERT_EQUAL (resolve ("sftp://h/x retain=4194304"), ERR_OK);
  CU_ASSERT_EQUAL (o.link.retain_bytes, 4u << 20);
}

static void
names_all_of (const char *help, const struct param *table)
{
  for (const struct param *p = table; p->key; p++) {
    char line[80];

    snprintf (line, sizeof line, "\n  %s=%s", p->key, p->value_name);
    CU_ASSERT ((p->flags & PARAM_URL_ONLY) || strstr (help, line)
               || strncmp (help, line + 1, strlen (line) - 1) == 0);
  }
}

static void
help_names_every_parameter (void)
{
  char help[OPTIONS_HELP_BYTES];

  options_help (help, sizeof help);
  CU_ASSERT (strlen (help) < sizeof help - 1); /* not cut off */
  names_all_of (help, options_params ());
  names_all_of (help, proto_common_params);
  for (const struct proto_params *p = proto_params_table; p->name; p++) {
    const char *of_protocol = strstr (help, p->url);

    CU_ASSERT_PTR_NOT_NULL_FATAL (of_protocol);
    names_all_of (of_protocol, p->params);
  }
  for (size_t n = 1; n < 900; n++) { /* never past the buffer's end */
    char *small = malloc (n);

    options_help (small, n);
    CU_ASSERT (strlen (small) < n);
    free (small);
  }
}

static void
cleanup (void)
{
  char command[400];

  options_free (&o);
  snprintf (command, sizeof command, "rm -rf '%s'", home);
  CU_ASSERT_EQUAL (system (command), 0);
}

UNIT_MAIN ("options", UNIT_TEST (defaults_are_filled_in),
           UNIT_TEST (a_daemon_is_one_client),
           UNIT_TEST (what_cannot_be_together),
           UNIT_TEST (default_keys_come_in_order),
           UNIT_TEST (files_are_checked),
           UNIT_TEST (secrets_never_stand_in_the_spec),
           UNIT_TEST (the_agent_is_connected_by_us),
           UNIT_TEST (mistakes_have_words), UNIT_TEST (sizes_have_units),
           UNIT_TEST (help_names_every_parameter), UNIT_TEST (cleanup))
