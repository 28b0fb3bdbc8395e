/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/login.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#include "tests/unit/cache/keys_vectors.h"

static struct login_config config;
static struct login login;
static uint8_t body[CONTROL_BODY_BYTES];

static int
file_with (const char *text)
{
  int fd = memfd_create ("known_hosts", MFD_CLOEXEC);

  CU_ASSERT_FATAL (fd >= 0);
  CU_ASSERT_EQUAL (write (fd, text, strlen (text)), (ssize_t)strlen (text));
  return fd;
}

static void
begin (unsigned keys, const char *password, const char *known_hosts)
{
  login_config_init (&config);
  strcpy (config.host, "h");
  strcpy (config.user, "me");
  config.port = 22;
  for (unsigned i = 0; i < keys; i++) {
    char name[] = "/key0";

    name[4] = (char)('0' + i);
    config.key[i].name = strdup (name);
    ssh_key_load (key_vectors[i].text, strlen (key_vectors[i].text), NULL,
                  &config.key[i].key, &config.key[i].fault);
  }
  config.keys = keys;
  if (password) {
    strcpy (config.password, password);
    config.has_password = true;
  }
  if (known_hosts) {
    config.known_hosts[0].name = strdup ("/known");
    config.known_hosts[0].fd = file_with (known_hosts);
    config.known_hosts_files = 1;
  }
  CU_ASSERT_EQUAL_FATAL (login_begin (&login, &config, NULL), ERR_OK);
}

static void
end (void)
{
  login_end (&login);
  login_config_fini (&config);
}

static enum control_type
next (const char *methods, struct fault *f)
{
  struct wirebuf b = wirebuf_init (body, sizeof body);

  return login_next (&login, methods, &b, f);
}

static void
keys_in_turn_then_the_password (void)
{
  struct fault f = {0};
  struct wire w;
  char word[64];

  begin (2, "secret", NULL);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  w = wire_init (body, sizeof body);
  wire_cstring (&w, word, sizeof word);
  CU_ASSERT_STRING_EQUAL (word, "ssh-ed25519");
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  w = wire_init (body, sizeof body);
  wire_cstring (&w, word, sizeof word);
  CU_ASSERT_STRING_EQUAL (word, "ecdsa-sha2-nistp256");
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_PASSWORD);
  w = wire_init (body, sizeof body);
  wire_cstring (&w, word, sizeof word);
  CU_ASSERT_STRING_EQUAL (word, "secret");
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (f.code, ERR_AUTH);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "me@h"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "publickey,password"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "/key0, /key1, the password"));
  CU_ASSERT_PTR_NULL (strstr (f.text, "secret"));
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_NONE);
  end ();
}

static void
only_what_the_server_offers (void)
{
  struct fault f = {0};

  begin (1, "secret", NULL);
  CU_ASSERT_EQUAL (next ("keyboard,interactive", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (next ("publickey2,xpublickey,passwords", &f),
                   CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (next ("", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (next ("x,password", &f), CONTROL_AUTH_PASSWORD);
  /* two factors: the key is still there when the server asks for it next */
  CU_ASSERT_EQUAL (next ("publickey", &f), CONTROL_AUTH_KEY);
  end ();
}

static void
the_password_is_for_keyboard_interactive_too (void)
{
  struct fault f = {0};

  begin (0, "secret", NULL);
  CU_ASSERT_EQUAL (next ("publickey,keyboard-interactive", &f),
                   CONTROL_AUTH_PASSWORD);
  CU_ASSERT_EQUAL (next ("publickey,keyboard-interactive", &f),
                   CONTROL_AUTH_NONE);
  end ();
}

static void
the_hint_fits_what_the_server_takes (void)
{
  struct fault f = {0};

  begin (0, NULL, NULL);
  next ("publickey", &f);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "identity="));
  CU_ASSERT_PTR_NULL (strstr (f.hint, "password="));
  next ("password", &f);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "password="));
  end ();
  /* Nor does it ask for what it was given. */
  begin (0, "secret", NULL);
  next ("password,publickey", &f);
  next ("password,publickey", &f);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "the password of this user?"));
  CU_ASSERT_PTR_NULL (strstr (f.hint, "password="));
  next ("publickey", &f); /* which was right: it wants both */
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "identity="));
  end ();
  begin (1, NULL, NULL);
  next ("password,publickey", &f);
  next ("password,publickey", &f);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "authorized_keys"));
  CU_ASSERT_PTR_NULL (strstr (f.hint, "identity="));
  end ();
}

static void
a_key_that_cannot_be_used_is_named (void)
{
  struct fault f = {0};

  begin (1, NULL, NULL);
  ssh_key_free (config.key[0].key);
  config.key[0].key = NULL;
  fault_set (&config.key[0].fault, ERR_NOTSUP, "it is encrypted");
  CU_ASSERT_EQUAL (next ("publickey", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "/key0 (it is encrypted)"));
  end ();
}

static void
long_names_are_cut_not_overrun (void)
{
  struct fault f = {0};
  char *name = malloc (5000);

  begin (3, NULL, NULL);
  memset (name, 'n', 4999);
  name[4999] = 0;
  for (int i = 0; i < 3; i++) {
    free (config.key[i].name);
    config.key[i].name = strdup (name);
    next ("publickey", &f);
  }
  CU_ASSERT_EQUAL (next (name, &f), CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (next ("publickey", &f), CONTROL_AUTH_NONE);
  free (name);
  end ();
}

#define A64                                                                    \
  "AAAAC3NzaC1lZDI1NTE5AAAAIJLIL6+vvRcI9/D95wpO58FXsst+Nui8IUjwutEO2AMn"

/* An answer to a list: keys of these types and bytes. */
static size_t
agent_list (uint8_t *dst, size_t dst_bytes, const uint8_t *known,
            size_t known_bytes, unsigned others)
{
  struct wirebuf b = wirebuf_init (dst, dst_bytes);

  wirebuf_u8 (&b, 12);
  wirebuf_u32 (&b, others + !!known);
  for (unsigned i = 0; i < others; i++) {
    uint8_t blob[51];
    struct wirebuf k = wirebuf_init (blob, sizeof blob);
    char key[33], comment[] = "other 0";

    memset (key, 'a' + (int)i, 32);
    key[32] = 0;
    comment[6] = (char)('0' + i);
    wirebuf_cstring (&k, "ssh-ed25519");
    wirebuf_cstring (&k, key);
    wirebuf_string (&b, blob, k.used_bytes);
    wirebuf_cstring (&b, comment);
  }
  if (known) {
    wirebuf_string (&b, known, known_bytes);
    wirebuf_cstring (&b, "known");
  }
  return b.used_bytes;
}

/* The request that the worker has to have signed for the offer in body. */
static size_t
request_for_offer (uint8_t *dst, size_t dst_bytes)
{
  struct wire w = wire_init (body, sizeof body);
  struct wirebuf b = wirebuf_init (dst, dst_bytes);
  size_t name_bytes, key_bytes;
  const uint8_t *name = wire_string (&w, 64, &name_bytes);
  const uint8_t *key = wire_string (&w, 4096, &key_bytes);

  wirebuf_cstring (&b, "the session");
  wirebuf_u8 (&b, 50);
  wirebuf_cstring (&b, "me");
  wirebuf_cstring (&b, "ssh-connection");
  wirebuf_cstring (&b, "publickey");
  wirebuf_u8 (&b, 1);
  wirebuf_string (&b, name, name_bytes);
  wirebuf_string (&b, key, key_bytes);
  return b.used_bytes;
}

static void
the_agents_keys_come_after_the_files (void)
{
  uint8_t list[2000], request[5000];
  struct fault f = {0};
  size_t n, blob_bytes;
  const uint8_t *blob;
  struct wirebuf b;

  begin (1, "secret", NULL);
  config.agent_fd = file_with ("");
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), LOGIN_ASK_AGENT);
  CU_ASSERT_EQUAL (body[4], 11);
  /* the file's own key is not tried again */
  blob = ssh_key_blob (config.key[0].key, &blob_bytes);
  n = agent_list (list, sizeof list, blob, blob_bytes, 2);
  login_agent_keys (&login, list, n, NULL);
  CU_ASSERT_EQUAL (login.agent_keys, 2);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  n = request_for_offer (request, sizeof request);
  /* the signer's rules hold for it too */
  b = wirebuf_init (body, sizeof body);
  request[15 + 5]++; /* the user name */
  CU_ASSERT_EQUAL (login_sign (&login, request, n, &b, &f), ERR_PEER);
  CU_ASSERT_EQUAL (b.used_bytes, 0);
  request[15 + 5]--;
  CU_ASSERT_EQUAL (login_sign (&login, request, n, &b, &f), ERR_AGAIN);
  CU_ASSERT_EQUAL (body[4], 13);
  b = wirebuf_init (body, sizeof body);
  CU_ASSERT_EQUAL (login_sign (&login, request, n, &b, &f), ERR_PEER);
  login_agent_signature (&login, (const uint8_t *)"\5", 1, NULL, &b);
  CU_ASSERT_EQUAL (b.used_bytes, 4);
  CU_ASSERT_EQUAL (body[3], 0);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_PASSWORD);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (f.text, "/key0, other 0 (of the agent), ssh-agent (it refused "
                      "to sign), other 1 (of the agent), the password"));
  end ();
}

static void
no_more_keys_than_a_server_takes (void)
{
  static const uint8_t named[] = "\0\0\0\13ssh-ed25519\0\0\0\1n";
  uint8_t list[2000];
  struct fault f = {0};
  struct wire w;
  size_t n;
  const uint8_t *p;
  unsigned tries = 0;

  begin (1, "secret", NULL);
  config.agent_fd = file_with ("");
  ssh_key_free (config.key[0].key);
  config.key[0].key = NULL;
  config.key[0].public_bytes = sizeof named - 1;
  config.key[0].public = malloc (sizeof named);
  memcpy (config.key[0].public, named, sizeof named);
  CU_ASSERT_EQUAL (next ("publickey", &f), LOGIN_ASK_AGENT);
  n = agent_list (list, sizeof list, named, sizeof named - 1, 9);
  login_agent_keys (&login, list, n, NULL);
  CU_ASSERT_EQUAL (next ("publickey", &f), CONTROL_AUTH_KEY);
  w = wire_init (body, sizeof body);
  wire_string (&w, 64, &n);
  p = wire_string (&w, 4096, &n);
  CU_ASSERT (p && n == sizeof named - 1 && memcmp (p, named, n) == 0);
  for (tries = 1; next ("publickey", &f) == CONTROL_AUTH_KEY; tries++)
    ;
  CU_ASSERT_EQUAL (tries, LOGIN_ATTEMPTS - 1);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_PASSWORD);
  end ();
}

static void
an_agent_that_has_gone_is_named (void)
{
  struct fault f = {0}, why = {0};

  begin (0, NULL, NULL);
  config.agent_fd = file_with ("");
  fault_set (&why, ERR_CLOSED, "the agent has gone");
  CU_ASSERT_EQUAL (next ("password", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_EQUAL (next ("publickey", &f), LOGIN_ASK_AGENT);
  login_agent_keys (&login, NULL, 0, &why);
  CU_ASSERT_EQUAL (next ("publickey", &f), CONTROL_AUTH_NONE);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "ssh-agent (the agent has gone)"));
  end ();
}

static void
host_keys_are_judged_in_words (void)
{
  uint8_t known[64], other[51];
  struct fault f = {0};

  EVP_DecodeBlock (known, (const uint8_t *)A64, sizeof A64 - 1);
  memcpy (other, known, sizeof other);
  other[50] ^= 1;
  begin (0, NULL, "# keys\nh ssh-ed25519 " A64 "\n");
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_OK);
  CU_ASSERT_EQUAL (login_hostkey (&login, other, 51, &f), ERR_HOSTKEY);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "CHANGED"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "line 2 of /known"));
  CU_ASSERT_PTR_NOT_NULL (strstr (strstr (f.text, "SHA256:") + 1, "SHA256:"));
  end ();
  begin (0, NULL, "");
  config.port = 2222;
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_HOSTKEY);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "[h]:2222 (ssh-ed25519 SHA256:"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "not in /known"));
  CU_ASSERT_PTR_NOT_NULL (strstr (f.hint, "ssh-keyscan -p 2222 h >> /known"));
  end ();
  begin (0, NULL, "@revoked * ssh-ed25519 " A64 "\n");
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_HOSTKEY);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "revoked"));
  end ();
  begin (0, NULL, NULL);
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_HOSTKEY);
  end ();
}

static void
a_line_added_later_counts_at_the_next_dial (void)
{
  uint8_t known[64];
  static const char line[] = "h ssh-ed25519 " A64 "\n";
  struct fault f = {0};

  EVP_DecodeBlock (known, (const uint8_t *)A64, sizeof A64 - 1);
  begin (0, NULL, "");
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_HOSTKEY);
  CU_ASSERT_EQUAL (write (config.known_hosts[0].fd, line, sizeof line - 1),
                   (ssize_t)sizeof line - 1);
  login_end (&login);
  CU_ASSERT_EQUAL_FATAL (login_begin (&login, &config, NULL), ERR_OK);
  CU_ASSERT_EQUAL (login_hostkey (&login, known, 51, &f), ERR_OK);
  end ();
}

static void
nothing_is_signed_after_the_password_was_offered (void)
{
  struct wirebuf b = wirebuf_init (body, sizeof body);
  struct fault f = {0};

  begin (1, "secret", NULL);
  CU_ASSERT_EQUAL (next ("publickey,password", &f), CONTROL_AUTH_KEY);
  CU_ASSERT_EQUAL (next ("password", &f), CONTROL_AUTH_PASSWORD);
  CU_ASSERT_EQUAL (login_sign (&login, (const uint8_t *)"x", 1, &b, &f),
                   ERR_PEER);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "without a key"));
  end ();
}

UNIT_MAIN ("login", UNIT_TEST (keys_in_turn_then_the_password),
           UNIT_TEST (only_what_the_server_offers),
           UNIT_TEST (the_password_is_for_keyboard_interactive_too),
           UNIT_TEST (the_hint_fits_what_the_server_takes),
           UNIT_TEST (a_key_that_cannot_be_used_is_named),
           UNIT_TEST (long_names_are_cut_not_overrun),
           UNIT_TEST (the_agents_keys_come_after_the_files),
           UNIT_TEST (no_more_keys_than_a_server_takes),
           UNIT_TEST (an_agent_that_has_gone_is_named),
           UNIT_TEST (host_keys_are_judged_in_words),
           UNIT_TEST (a_line_added_later_counts_at_the_next_dial),
           UNIT_TEST (nothing_is_signed_after_the_password_was_offered))
