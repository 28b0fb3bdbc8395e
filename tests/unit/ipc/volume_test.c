/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/control.h"
#include "tests/unit/unit.h"

static uint8_t bytes[CONTROL_BODY_BYTES];

static struct volume_spec
sample (void)
{
  struct volume_spec s = {.proto = "sftp"};

  CU_ASSERT_EQUAL (volume_spec_set (&s, "host", "example.org", -1), ERR_OK);
  CU_ASSERT_EQUAL (volume_spec_set (&s, "path", "/disk.img", -1), ERR_OK);
  CU_ASSERT_EQUAL (volume_spec_set (&s, "identity", "", 1), ERR_OK);
  CU_ASSERT_EQUAL (volume_spec_set (&s, "user", "me", -1), ERR_OK);
  return s;
}

static void
a_spec_makes_the_round_trip (void)
{
  struct volume_spec s = sample (), t;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;
  char name[200];

  CU_ASSERT_EQUAL (volume_spec_set (&s, "user", "you", -1), ERR_OK);
  volume_spec_put (&b, &s);
  CU_ASSERT_EQUAL (b.err, ERR_OK);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL_FATAL (volume_spec_take (&w, 2, &t), ERR_OK);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  CU_ASSERT_STRING_EQUAL (t.proto, "sftp");
  CU_ASSERT_EQUAL (t.params, 4);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&t, "host"), "example.org");
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&t, "user"), "you");
  CU_ASSERT_PTR_NULL (volume_spec_get (&t, "port"));
  CU_ASSERT_EQUAL (volume_spec_fd (&t, "identity"), 1);
  CU_ASSERT_EQUAL (volume_spec_fd (&t, "host"), -1);
  CU_ASSERT_EQUAL (volume_spec_fd (&t, "nothing"), -1);
  volume_spec_name (&t, name, sizeof name);
  CU_ASSERT_STRING_EQUAL (name, "sftp://you@example.org/disk.img");
}

static void
names_of_volumes (void)
{
  struct volume_spec s = {.proto = "sftp"};
  char name[100];

  volume_spec_name (&s, name, sizeof name);
  CU_ASSERT_STRING_EQUAL (name, "sftp:///");
  volume_spec_set (&s, "host", "::1", -1);
  volume_spec_set (&s, "port", "2222", -1);
  volume_spec_set (&s, "path", "rel", -1);
  volume_spec_set (&s, "password", "hunter2", 0);
  volume_spec_name (&s, name, sizeof name);
  CU_ASSERT_STRING_EQUAL (name, "sftp://[::1]:2222/rel");
  volume_spec_name (&s, name, 9);
  CU_ASSERT_STRING_EQUAL (name, "sftp://[");
}

static void
each_truncation_is_the_peers_fault (void)
{
  struct volume_spec s = sample (), t;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);

  volume_spec_put (&b, &s);
  for (size_t n = 0; n < b.used_bytes; n++) {
    uint8_t *exact = malloc (n ? n : 1); /* for ASan */
    struct wire w = wire_init (memcpy (exact, bytes, n), n);

    t.params = 99;
    CU_ASSERT_EQUAL (volume_spec_take (&w, 2, &t), ERR_PEER);
    CU_ASSERT_EQUAL (t.params, 99);
    free (exact);
  }
}

static enum err
take_one (const char *key, const char *value, int fd, unsigned fds)
{
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct volume_spec t;
  struct wire w;

  wirebuf_cstring (&b, "sftp");
  wirebuf_u8 (&b, 2);
  wirebuf_cstring (&b, "host");
  wirebuf_cstring (&b, "h");
  wirebuf_u8 (&b, 0xff);
  wirebuf_cstring (&b, key);
  wirebuf_cstring (&b, value);
  wirebuf_u8 (&b, (uint8_t)fd);
  w = wire_init (bytes, b.used_bytes);
  return volume_spec_take (&w, fds, &t);
}

static void
bad_specs_are_refused (void)
{
  static char big[VOLUME_POOL_BYTES + 1];
  struct volume_spec t;
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;

  CU_ASSERT_EQUAL (take_one ("user", "x", -1, 0), ERR_OK);
  CU_ASSERT_EQUAL (take_one ("user", "x", 0, 1), ERR_OK);
  CU_ASSERT_EQUAL (take_one ("user", "x", 0, 0), ERR_PEER);
  CU_ASSERT_EQUAL (take_one ("user", "x", 1, 1), ERR_PEER);
  CU_ASSERT_EQUAL (take_one ("user", "x", 0xfe, 12), ERR_PEER);
  CU_ASSERT_EQUAL (take_one ("host", "twice", -1, 0), ERR_PEER);
  CU_ASSERT_EQUAL (take_one ("", "x", -1, 0), ERR_PEER);
  memset (big, 'k', 64);
  CU_ASSERT_EQUAL (take_one (big, "x", -1, 0), ERR_PEER);
  memset (big, 'v', VOLUME_POOL_BYTES - 1);
  CU_ASSERT_EQUAL (take_one ("user", big, -1, 0), ERR_PEER);
  big[VOLUME_POOL_BYTES - 64] = 0;
  CU_ASSERT_EQUAL (take_one ("user", big, -1, 0), ERR_OK);
  /* more parameters than there is room for */
  wirebuf_cstring (&b, "sftp");
  wirebuf_u8 (&b, VOLUME_PARAMS + 1);
  for (int i = 0; i <= VOLUME_PARAMS; i++) {
    char key[16];

    snprintf (key, sizeof key, "k%d", i);
    wirebuf_cstring (&b, key);
    wirebuf_cstring (&b, "");
    wirebuf_u8 (&b, 0xff);
  }
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (volume_spec_take (&w, 0, &t), ERR_PEER);
  /* a NUL inside a string would hide its rest */
  b = wirebuf_init (bytes, sizeof bytes);
  wirebuf_string (&b, "sf\0p", 4);
  wirebuf_u8 (&b, 0);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (volume_spec_take (&w, 0, &t), ERR_PEER);
}

static void
a_spec_has_limits (void)
{
  struct volume_spec s = {.proto = "sftp"};
  static char big[VOLUME_POOL_BYTES];
  char key[16];

  for (int i = 0; i < VOLUME_PARAMS; i++) {
    snprintf (key, sizeof key, "k%d", i);
    CU_ASSERT_EQUAL (volume_spec_set (&s, key, "v", -1), ERR_OK);
  }
  CU_ASSERT_EQUAL (volume_spec_set (&s, "one-more", "v", -1), ERR_LIMIT);
  CU_ASSERT_EQUAL (volume_spec_set (&s, "k3", "other", 2), ERR_OK);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&s, "k3"), "other");
  memset (big, 'x', sizeof big - 1);
  CU_ASSERT_EQUAL (volume_spec_set (&s, "k3", big, -1), ERR_LIMIT);
  CU_ASSERT_STRING_EQUAL (volume_spec_get (&s, "k3"), "other");
  CU_ASSERT_EQUAL (volume_spec_fd (&s, "k3"), 2);
}

static struct volume_info
good_info (void)
{
  return (struct volume_info){.size = 1 << 30, .block_min = 1,
                              .block_preferred = 4096,
                              .request_max = 262144,
                              .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH};
}

static enum err
info_trip (const struct volume_info *in, struct volume_info *out)
{
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;

  volume_info_put (&b, in);
  w = wire_init (bytes, b.used_bytes);
  return volume_info_take (&w, out);
}

static void
an_info_makes_the_round_trip (void)
{
  struct volume_info i = good_info (), got = {.size = 5};
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);

  strcpy (i.readonly_why, "because");
  strcpy (i.remarks, "slow");
  i.change = 0x123456789abull;
  i.range_max = 1u << 30;
  CU_ASSERT_EQUAL (info_trip (&i, &got), ERR_OK);
  CU_ASSERT_EQUAL (got.size, i.size);
  CU_ASSERT_EQUAL (got.block_preferred, 4096);
  CU_ASSERT_EQUAL (got.range_max, 1u << 30);
  CU_ASSERT_EQUAL (got.caps, i.caps);
  CU_ASSERT_EQUAL (got.change, i.change);
  CU_ASSERT_STRING_EQUAL (got.readonly_why, "because");
  CU_ASSERT_STRING_EQUAL (got.remarks, "slow");
  volume_info_put (&b, &i);
  got.size = 5;
  for (size_t n = 0; n < b.used_bytes; n++) {
    struct wire w = wire_init (bytes, n);

    CU_ASSERT_EQUAL (volume_info_take (&w, &got), ERR_PEER);
    CU_ASSERT_EQUAL (got.size, 5);
  }
}

static void
an_impossible_info_is_refused (void)
{
  struct volume_info got;
  struct volume_info i = good_info ();

  i.block_min = 3;
  CU_ASSERT_EQUAL (info_trip (&i, &got), ERR_PEER);
  i = good_info ();
  i.size = 1ull << 63;
  CU_ASSERT_EQUAL (info_trip (&i, &got), ERR_PEER);
  i.size = INT64_MAX;
  CU_ASSERT_EQUAL (info_trip (&i, &got), ERR_OK);
  i.size = 0;
  CU_ASSERT_EQUAL (info_trip (&i, &got), ERR_OK);
}

static void
a_fault_without_words_gets_some (void)
{
  struct fault f = {.code = ERR_AUTH}, got = {0};
  uint8_t body[64]; /* two empty strings */
  struct wirebuf b = wirebuf_init (body, sizeof body);
  struct wire w;

  fault_put (&b, &f);
  w = wire_init (body, b.used_bytes);
  CU_ASSERT_EQUAL (fault_take (&w, &got), ERR_OK);
  CU_ASSERT_STRING_EQUAL (got.text, err_text (ERR_AUTH));
}

static void
a_fault_makes_the_round_trip_clean (void)
{
  struct fault f = {0}, got = {0};
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct wire w;

  fault_set (&f, ERR_HOSTKEY, "the key of %s changed", "host");
  fault_hint (&f, "remove it");
  fault_put (&b, &f);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (fault_take (&w, &got), ERR_OK);
  CU_ASSERT_EQUAL (got.code, ERR_HOSTKEY);
  CU_ASSERT_STRING_EQUAL (got.text, f.text);
  CU_ASSERT_STRING_EQUAL (got.hint, "remove it");
  for (size_t n = 0; n < b.used_bytes; n++) {
    w = wire_init (bytes, n);
    CU_ASSERT_EQUAL (fault_take (&w, &got), ERR_PEER);
  }
  /* a code from nowhere, and none at all; words that move the cursor */
  for (uint32_t code = 0; code < 100; code += 99) {
    b = wirebuf_init (bytes, sizeof bytes);
    wirebuf_u32 (&b, code);
    wirebuf_cstring (&b, "a\033[2J%s%n");
    wirebuf_cstring (&b, "b\n");
    w = wire_init (bytes, b.used_bytes);
    CU_ASSERT_EQUAL (fault_take (&w, &got), ERR_OK);
    CU_ASSERT_EQUAL (got.code, ERR_IO);
    CU_ASSERT_STRING_EQUAL (got.text, "a?[2J%s%n");
    CU_ASSERT_STRING_EQUAL (got.hint, "b?");
  }
}

/* Whatever comes: an answer, within the bytes (ASan watches). */
static void
garbage_is_only_garbage (void)
{
  unsigned seed = 12345;

  for (int round = 0; round < 20000; round++) {
    struct volume_spec s = sample ();
    struct volume_info i;
    struct fault f;
    struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
    struct wire w;
    uint8_t *exact;
    size_t n;

    if (round % 2)
      volume_spec_put (&b, &s);
    n = round % 2 ? b.used_bytes : (size_t)rand_r (&seed) % 300;
    exact = malloc (n ? n : 1);
    memcpy (exact, bytes, n);
    for (size_t k = 0; k < n; k++)
      if (round % 2 == 0 || rand_r (&seed) % 16 == 0)
        exact[k] = (uint8_t)rand_r (&seed);
    w = wire_init (exact, n);
    if (volume_spec_take (&w, 2, &s) == ERR_OK) {
      char name[64];

      volume_spec_name (&s, name, sizeof name);
      CU_ASSERT (s.params <= VOLUME_PARAMS);
    }
    w = wire_init (exact, n);
    if (volume_info_take (&w, &i) == ERR_OK)
      CU_ASSERT (volume_info_check (&i));
    w = wire_init (exact, n);
    if (fault_take (&w, &f) == ERR_OK)
      CU_ASSERT (f.code != ERR_OK);
    free (exact);
  }
  CU_PASS ("no crash");
}

UNIT_MAIN ("volume", UNIT_TEST (a_spec_makes_the_round_trip),
           UNIT_TEST (names_of_volumes),
           UNIT_TEST (each_truncation_is_the_peers_fault),
           UNIT_TEST (bad_specs_are_refused), UNIT_TEST (a_spec_has_limits),
           UNIT_TEST (an_info_makes_the_round_trip),
           UNIT_TEST (an_impossible_info_is_refused),
           UNIT_TEST (a_fault_makes_the_round_trip_clean),
           UNIT_TEST (a_fault_without_words_gets_some),
           UNIT_TEST (garbage_is_only_garbage))
