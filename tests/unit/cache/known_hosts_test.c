/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/known_hosts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "cache/host_glob.h"
#include "tests/unit/unit.h"

#define A64                                                                    \
  "AAAAC3NzaC1lZDI1NTE5AAAAIJLIL6+vvRcI9/D95wpO58FXsst+Nui8IUjwutEO2AMn"
#define B64                                                                    \
  "AAAAC3NzaC1lZDI1NTE5AAAAIG5GpyVfcqTs3srRAHpxabK4O3sTtdNTq7Ks+l6h7JMs"
#define E64                                                                    \
  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPrFDzWEn4ynWHq41zJ4"   \
  "I9yZ8Kmih0ABkRh7oavMokVjzKZtw51mguv0vYssW5aTZ7hj5ik/zRa9LcFUS7kUFQs="
#define A "ssh-ed25519 " A64
#define B "ssh-ed25519 " B64
#define E "ecdsa-sha2-nistp256 " E64
#define B_FINGERPRINT "SHA256:gOcg3muf1yDTA3xhig4B5Oe+I6O1hx04fwUxtIeFFzU"
#define A_FINGERPRINT "SHA256:0VndSTnHjFlkgQ78NWss1IR6Mppui7ezJJyMKDfOiok"

static struct known_hosts_found found;

/* Verdict on a key (its line of base64) for host:port, of one text. */
static enum known_hosts_verdict
check (const char *text, const char *host, uint16_t port, const char *key64)
{
  struct known_hosts_file file = {"the file", text, strlen (text)};
  uint8_t blob[256];
  size_t n = strlen (key64);

  EVP_DecodeBlock (blob, (const uint8_t *)key64, (int)n);
  n = n / 4 * 3;
  if (strcmp (key64, E64) == 0)
    n--;
  found = (struct known_hosts_found){0};
  return known_hosts_check (&file, 1, host, port, blob, n, &found);
}

#define IS(verdict, text, host, port, key)                                     \
  CU_ASSERT_EQUAL (check (text, host, port, key), KNOWN_HOSTS_##verdict)

static void
plain_names (void)
{
  IS (MATCH, "h " A "\n", "h", 22, A64);
  IS (MATCH, "h " A, "h", 22, A64);
  IS (MATCH, "h " A " a comment\n", "h", 22, A64);
  IS (MATCH, "\t h \t" A "\r\n", "h", 22, A64);
  IS (MATCH, "H.Example " A "\n", "h.eXAMPLE", 22, A64);
  IS (MATCH, "x,h,y " A "\n", "h", 22, A64);
  IS (MATCH, "192.0.2.1 " A "\n", "192.0.2.1", 22, A64);
  IS (MATCH, "2001:db8::1 " A "\n", "2001:db8::1", 22, A64);
  IS (UNKNOWN, "h " A "\n", "hh", 22, A64);
  IS (UNKNOWN, "hh " A "\n", "h", 22, A64);
  IS (UNKNOWN, "", "h", 22, A64);
  IS (UNKNOWN, "# h " A "\n", "h", 22, A64);
}

static void
a_changed_key_names_its_line (void)
{
  IS (CHANGED, "# one\n\nh " B "\n", "h", 22, A64);
  CU_ASSERT_EQUAL (found.line, 3);
  CU_ASSERT_STRING_EQUAL (found.file, "the file");
  CU_ASSERT_STRING_EQUAL (found.fingerprint, B_FINGERPRINT);
  /* any one key of the type is enough */
  IS (MATCH, "h " B "\nh " A "\n", "h", 22, A64);
  CU_ASSERT_EQUAL (found.line, 2);
  CU_ASSERT_STRING_EQUAL (found.fingerprint, A_FINGERPRINT);
  IS (MATCH, "h " A "\nh " B "\n", "h", 22, A64);
  CU_ASSERT_EQUAL (found.line, 1);
}

static void
a_key_of_another_type_is_unknown (void)
{
  IS (UNKNOWN, "h " E "\n", "h", 22, A64);
  IS (MATCH, "h " B "\nh " E "\n", "h", 22, E64);
}

static void
ports (void)
{
  IS (MATCH, "[h]:2222 " A "\n", "h", 2222, A64);
  IS (UNKNOWN, "[h]:2222 " A "\n", "h", 22, A64);
  IS (UNKNOWN, "[h]:2222 " A "\n", "h", 2223, A64);
  IS (CHANGED, "[h]:2222 " B "\n", "h", 2222, A64);
  /* as ssh does: the plain name vouches for other ports, but does not accuse */
  IS (MATCH, "h " A "\n", "h", 2222, A64);
  IS (UNKNOWN, "h " B "\n", "h", 2222, A64);
  IS (CHANGED, "[h]:2222 " B "\nh " A "\n", "h", 2222, A64);
  IS (MATCH, "[2001:db8::1]:2222 " A "\n", "2001:db8::1", 2222, A64);
}

static void
patterns_and_negation (void)
{
  IS (MATCH, "*.example.org " A "\n", "a.b.example.org", 22, A64);
  IS (UNKNOWN, "*.example.org " A "\n", "example.org", 22, A64);
  IS (MATCH, "h? " A "\n", "h1", 22, A64);
  IS (UNKNOWN, "h? " A "\n", "h", 22, A64);
  IS (MATCH, "* " A "\n", "h", 22, A64);
  IS (MATCH, "a*b*c " A "\n", "aXbYbZc", 22, A64);
  IS (UNKNOWN, "a*b*c " A "\n", "aXbYbZ", 22, A64);
  IS (UNKNOWN, "*.example.org,!bad.example.org " A "\n", "bad.example.org", 22,
      A64);
  IS (UNKNOWN, "!bad.example.org,*.example.org " A "\n", "bad.example.org", 22,
      A64);
  IS (MATCH, "*.example.org,!bad.example.org " A "\n", "good.example.org", 22,
      A64);
  /* a negation alone matches nothing */
  IS (UNKNOWN, "!other " A "\n", "h", 22, A64);
  IS (MATCH, "[*.example.org]:2222 " A "\n", "h.example.org", 2222, A64);
}

static void
hashed_names (void)
{
  static const char text[] = "|1|rWaZNtw424jYrVUYJHKvBy6L/vw="
                             "|hq/jlER4QY2EFWYiRJBW4YT52FI= " A "\n"
                             "|1|Ev4dKvfC359LGPRJual2cGDtVZI="
                             "|O0uNPCU01phTQ7vEpr6UUyFdViU= " B "\n";

  IS (MATCH, text, "hashed.example.org", 22, A64);
  IS (MATCH, text, "HASHED.example.org", 22, A64);
  IS (CHANGED, text, "hashed.example.org", 22, B64);
  IS (MATCH, text, "hashed.example.org", 2222, B64);
  CU_ASSERT_EQUAL (found.line, 2);
  IS (UNKNOWN, text, "hashed.example.com", 22, A64);
  IS (UNKNOWN, "|1|rWaZNtw424jYrVUYJHKvBy6L/vw= " A "\n", "h", 22, A64);
  IS (UNKNOWN, "|1|?|? " A "\n", "h", 22, A64);
  IS (UNKNOWN, "|1|| " A "\n", "h", 22, A64);
  IS (UNKNOWN, "|1| " A "\n", "h", 22, A64);
  IS (UNKNOWN, "|2|rWaZNtw424jYrVUYJHKvBy6L/vw=|AAAA " A "\n", "h", 22, A64);
}

static void
revoked_wins (void)
{
  IS (REVOKED, "@revoked h " A "\n", "h", 22, A64);
  IS (REVOKED, "h " A "\n@revoked * " A "\n", "h", 22, A64);
  CU_ASSERT_EQUAL (found.line, 2);
  IS (REVOKED, "[h]:2222 " A "\n@revoked h " A "\n", "h", 2222, A64);
  IS (MATCH, "@revoked h " B "\nh " A "\n", "h", 22, A64);
  IS (UNKNOWN, "@revoked h " B "\n", "h", 22, A64);
}

static void
certificate_authorities_vouch_for_nothing (void)
{
  IS (UNKNOWN, "@cert-authority h " A "\n", "h", 22, A64);
  IS (UNKNOWN, "@strange h " A "\n", "h", 22, A64);
}

static void
garbage_is_skipped (void)
{
  static const char *const lines[] = {"h",
                                      "h ssh-ed25519",
                                      "h " A64,
                                      "@revoked",
                                      "@revoked h",
                                      "h ssh-ed25519 AAAA",
                                      "h ssh-ed25519 ====",
                                      "h ssh-ed25519 A",
                                      "h ssh-ed25519 " A64 "=",
                                      ",,, " A64,
                                      "! x y",
                                      "\x01\xff\x80",
                                      "|1|"};
  char text[512];

  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    IS (UNKNOWN, lines[i], "h", 22, A64);
    snprintf (text, sizeof text, "%s\nh " A "\n", lines[i]);
    IS (MATCH, text, "h", 22, A64);
    CU_ASSERT_EQUAL (found.line, 2);
  }
}

static void
a_long_line_harms_nobody (void)
{
  size_t n = 1 << 20;
  char *text = malloc (n + 200);

  CU_ASSERT_PTR_NOT_NULL_FATAL (text);
  memset (text, 'x', n);
  strcpy (text + n, " " A "\nh " A "\n");
  IS (MATCH, text, "h", 22, A64);
  CU_ASSERT_EQUAL (found.line, 2);
  strcpy (text + n, ",h " A "\n");
  IS (MATCH, text, "h", 22, A64);
  memcpy (text, "h ssh-ed25519 ", 14);
  strcpy (text + n, "\nh " A "\n");
  IS (MATCH, text, "h", 22, A64);
  free (text);
}

static void
several_files_count_as_one (void)
{
  struct known_hosts_file files[2] = {{"first", "h " B "\n", sizeof "h " B},
                                      {"second", NULL, 0}};
  uint8_t blob[64];

  files[1].text = "\nh " A "\n";
  files[1].length_bytes = strlen (files[1].text);
  EVP_DecodeBlock (blob, (const uint8_t *)A64, sizeof A64 - 1);
  CU_ASSERT_EQUAL (known_hosts_check (files, 2, "h", 22, blob, 51, &found),
                   KNOWN_HOSTS_MATCH);
  CU_ASSERT_STRING_EQUAL (found.file, "second");
  CU_ASSERT_EQUAL (found.line, 2);
  files[1].length_bytes = 0;
  CU_ASSERT_EQUAL (known_hosts_check (files, 2, "h", 22, blob, 51, &found),
                   KNOWN_HOSTS_CHANGED);
  CU_ASSERT_STRING_EQUAL (found.file, "first");
}

static void
tells_which_types_are_known (void)
{
  static const char text[] = "h " E "\nh " A "\n[p]:2222 ssh-rsa AAAA\n"
                             "@revoked r " A;
  struct known_hosts_file file = {"f", text, sizeof text - 1};
  char list[HOSTKEY_TYPES_BYTES];

  known_hosts_types (&file, 1, "h", 22, list);
  CU_ASSERT_STRING_EQUAL (list, "ssh-ed25519,ecdsa-sha2-nistp256");
  known_hosts_types (&file, 1, "h", 2222, list);
  CU_ASSERT_STRING_EQUAL (list, "ssh-ed25519,ecdsa-sha2-nistp256");
  known_hosts_types (&file, 1, "p", 2222, list);
  CU_ASSERT_STRING_EQUAL (list, "ssh-rsa");
  known_hosts_types (&file, 1, "p", 22, list);
  CU_ASSERT_STRING_EQUAL (list, "");
  known_hosts_types (&file, 1, "r", 22, list);
  CU_ASSERT_STRING_EQUAL (list, "");
}

static void
a_key_without_a_type (void)
{
  char type[HOSTKEY_TYPE_BYTES];

  hostkey_type ((const uint8_t *)"", 0, type);
  CU_ASSERT_STRING_EQUAL (type, "?");
  hostkey_type ((const uint8_t *)"\0\0\0\2a\n", 6, type);
  CU_ASSERT_STRING_EQUAL (type, "?");
  hostkey_type ((const uint8_t *)"\0\0\0\3abcd", 8, type);
  CU_ASSERT_STRING_EQUAL (type, "abc");
}

/* By the definition. */
static bool
glob (const char *p, const char *name)
{
  if (*p == '*')
    return glob (p + 1, name) || (*name && glob (p, name + 1));
  if (*p == 0 || *name == 0)
    return *p == *name;
  return (*p == '?' || tolower ((unsigned char)*p) == *name)
         && glob (p + 1, name + 1);
}

static void
patterns_match_as_defined (void)
{
  static const char of[] = "abAB*?*";
  static struct host_glob g;
  char name[HOST_GLOB_NAME_BYTES], p[12];
  uint32_t random = 5;
  unsigned matches = 0;

  for (unsigned turn = 0; turn < 10000; turn++) {
    /* across the words of 64 bits, too */
    bool brief = turn % 4;
    size_t n = brief ? turn % 7 : 60 + turn % 9;
    size_t k = turn % (brief ? 11 : 7);

    memset (name, 0, sizeof name);
    memset (p, 0, sizeof p);
    for (size_t i = 0; i < n + k; i++) {
      random = random * 1664525u + 1013904223u;
      if (i < n)
        name[i] = n < 60 || random >> 30 ? 'a' : 'b';
      else
        p[i - n] = of[(random >> 24) % 7];
    }
    host_glob_init (&g, name);
    CU_ASSERT_EQUAL (host_glob_match (&g, p, k), glob (p, name));
    matches += glob (p, name);
  }
  CU_ASSERT (matches > 500 && matches < 9500);
  memset (name, 'a', sizeof name - 1);
  host_glob_init (&g, name);
  CU_ASSERT (host_glob_match (&g, "a*a?", 4));
  CU_ASSERT (!host_glob_match (&g, "a*ab", 4));
  CU_ASSERT (host_glob_match (&g, name, sizeof name - 1));
  CU_ASSERT (!host_glob_match (&g, name, sizeof name - 2));
}

/* Made up so that each byte costs as many comparisons as the name has. */
static void
patterns_cost_what_they_are_long (void)
{
  size_t n = 1u << 20, used = 0;
  char *text = malloc (n + 200), host[254];
  struct known_hosts_file file = {"file", text, 0};
  uint64_t began_ns, took_ns;
  struct timespec now;

  memset (host, 'a', sizeof host - 1);
  host[253] = 0;
  while (used < n) {
    memset (text + used, 'a', 128);
    text[used] = '*';
    memcpy (text + used + 127, "b a b\n", 6);
    used += 133;
  }
  file.length_bytes = used;
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  began_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  CU_ASSERT_EQUAL (
      known_hosts_check (&file, 1, host, 22, (const uint8_t *)"\0\0\0\1a", 5,
                         &found),
      KNOWN_HOSTS_UNKNOWN);
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  took_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec
            - began_ns;
  /* 8 ms; a sanitizer's ten times that; a second for the comparisons */
  CU_ASSERT (took_ns < 400000000);
  free (text);
}

UNIT_MAIN ("known_hosts", UNIT_TEST (plain_names),
           UNIT_TEST (a_changed_key_names_its_line),
           UNIT_TEST (a_key_of_another_type_is_unknown), UNIT_TEST (ports),
           UNIT_TEST (patterns_and_negation),
           UNIT_TEST (patterns_match_as_defined),
           UNIT_TEST (patterns_cost_what_they_are_long),
           UNIT_TEST (hashed_names),
           UNIT_TEST (revoked_wins),
           UNIT_TEST (certificate_authorities_vouch_for_nothing),
           UNIT_TEST (garbage_is_skipped), UNIT_TEST (a_long_line_harms_nobody),
           UNIT_TEST (several_files_count_as_one),
           UNIT_TEST (tells_which_types_are_known),
           UNIT_TEST (a_key_without_a_type))
