/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cache/known_hosts.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "cache/host_glob.h"
#include "common/wire.h"

#define SHA1_BYTES 20
#define HOST_BYTES HOST_GLOB_NAME_BYTES /* "[host]:port" */

struct span {
  const char *p;
  size_t n;
};

enum marker { MARKER_NONE, MARKER_REVOKED, MARKER_IGNORED };

struct entry {
  enum marker marker;
  struct span hosts;
  struct span type;
  struct span key; /* base64 */
};

static bool
span_is (struct span s, const char *text)
{
  return s.n == strlen (text) && memcmp (s.p, text, s.n) == 0;
}

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off the line; empty at its end. */
static struct span
next_word (struct span *line)
{
  struct span word;

  while (line->n && is_blank (*line->p)) {
    line->p++;
    line->n--;
  }
  word = (struct span){line->p, 0};
  while (line->n && !is_blank (*line->p)) {
    line->p++;
    line->n--;
    word.n++;
  }
  return word;
}

/* Takes the part before a separator off a list. */
static struct span
next_part (struct span *list, char separator)
{
  const char *end = memchr (list->p, separator, list->n);
  struct span part = {list->p, end ? (size_t)(end - list->p) : list->n};
  size_t taken = part.n + (end ? 1 : 0);

  list->p += taken;
  list->n -= taken;
  return part;
}

static bool
parse_line (struct span line, struct entry *ret)
{
  struct entry e = {.marker = MARKER_NONE};
  struct span first = next_word (&line);

  if (first.n == 0 || first.p[0] == '#')
    return false;
  if (first.p[0] == '@') {
    e.marker = span_is (first, "@revoked") ? MARKER_REVOKED : MARKER_IGNORED;
    first = next_word (&line);
  }
  e.hosts = first;
  e.type = next_word (&line);
  e.key = next_word (&line);
  if (e.key.n == 0 || e.type.n >= HOSTKEY_TYPE_BYTES)
    return false;
  *ret = e;
  return true;
}

/* Strict: whole quads, padding at the end only. Returns the length, or 0. */
static size_t
decode_base64 (struct span s, uint8_t *dst, size_t dst_bytes)
{
  uint8_t block[3];
  size_t used = 0;

  if (s.n == 0 || s.n % 4)
    return 0;
  for (size_t i = 0; i < s.n; i += 4) {
    size_t n = 3;

    for (size_t j = 0; j < 4; j++) {
      char c = s.p[i + j];

      if (c == '=' && i + 4 == s.n && j >= 2 && (j == 3 || s.p[i + 3] == '='))
        n = n == 3 ? j - 1 : n;
      else if (!isalnum ((unsigned char)c) && c != '+' && c != '/')
        return 0;
    }
    if (EVP_DecodeBlock (block, (const uint8_t *)s.p + i, 4) != 3
        || n > dst_bytes - used)
      return 0;
    memcpy (dst + used, block, n);
    used += n;
  }
  return used;
}

/* "|1|salt|hash": HMAC-SHA1 of the name. */
static bool
match_hashed (struct span hosts, const char *name)
{
  uint8_t salt[64], hash[64], mac[EVP_MAX_MD_SIZE];
  unsigned mac_bytes = 0;
  size_t salt_bytes, hash_bytes;

  hosts.p += 3;
  hosts.n -= 3;
  salt_bytes = decode_base64 (next_part (&hosts, '|'), salt, sizeof salt);
  hash_bytes = decode_base64 (hosts, hash, sizeof hash);
  if (!salt_bytes || hash_bytes != SHA1_BYTES)
    return false;
  return HMAC (EVP_sha1 (), salt, (int)salt_bytes, (const uint8_t *)name,
               strlen (name), mac, &mac_bytes)
         && mac_bytes == hash_bytes && memcmp (mac, hash, hash_bytes) == 0;
}

static bool
match_hosts (struct span hosts, const char *name, const struct host_glob *g)
{
  bool match = false;

  if (hosts.n > 3 && memcmp (hosts.p, "|1|", 3) == 0)
    return match_hashed (hosts, name);
  while (hosts.n) {
    struct span part = next_part (&hosts, ',');
    bool negated = part.n && part.p[0] == '!';

    if (negated) {
      part.p++;
      part.n--;
    }
    if (part.n && host_glob_match (g, part.p, part.n)) {
      if (negated)
        return false;
      match = true;
    }
  }
  return match;
}

/* The name under which a host stands in the file: lower case. */
static bool
host_name (const char *host, uint16_t port, char dst[HOST_BYTES])
{
  int n = port == 22 ? snprintf (dst, HOST_BYTES, "%s", host)
                     : snprintf (dst, HOST_BYTES, "[%s]:%u", host, port);

  for (char *c = dst; *c; c++)
    *c = (char)tolower ((unsigned char)*c);
  return n > 0 && n < HOST_BYTES;
}

struct search {
  const struct known_hosts_file *files;
  unsigned count;
  const char *name;
  struct host_glob glob; /* of the name */
  unsigned file;
  size_t offset;
  unsigned line;
};

static void
search_init (struct search *s, const struct known_hosts_file *files,
             unsigned count, const char *name)
{
  s->files = files;
  s->count = count;
  s->name = name;
  s->file = s->line = 0;
  s->offset = 0;
  host_glob_init (&s->glob, name);
}

/* The next entry whose hosts match; false at the end. */
static bool
next_entry (struct search *s, struct entry *ret)
{
  while (s->file < s->count) {
    const struct known_hosts_file *f = &s->files[s->file];
    struct span rest = {f->text + s->offset, f->length_bytes - s->offset};

    if (rest.n == 0) {
      s->file++;
      s->offset = 0;
      s->line = 0;
      continue;
    }
    struct span line = next_part (&rest, '\n');

    s->offset = f->length_bytes - rest.n;
    s->line++;
    if (parse_line (line, ret) && match_hosts (ret->hosts, s->name, &s->glob))
      return true;
  }
  return false;
}

/* The entry's key; 0 if it is none, or not of the type that the line says. */
static size_t
entry_blob (const struct entry *e, uint8_t dst[HOSTKEY_BLOB_BYTES])
{
  size_t n = decode_base64 (e->key, dst, HOSTKEY_BLOB_BYTES);
  char type[HOSTKEY_TYPE_BYTES];

  hostkey_type (dst, n, type);
  return span_is (e->type, type) ? n : 0;
}

static void
set_found (const struct search *s, const uint8_t *blob, size_t blob_bytes,
           struct known_hosts_found *ret)
{
  ret->file = s->files[s->file].name;
  ret->line = s->line;
  hostkey_fingerprint (blob, blob_bytes, ret->fingerprint);
}

static enum known_hosts_verdict
check_name (const struct known_hosts_file *files, unsigned count,
            const char *name, const uint8_t *blob, size_t blob_bytes,
            struct known_hosts_found *ret)
{
  struct search s;
  enum known_hosts_verdict verdict = KNOWN_HOSTS_UNKNOWN;
  uint8_t known[HOSTKEY_BLOB_BYTES];
  char type[HOSTKEY_TYPE_BYTES];
  struct entry e;

  search_init (&s, files, count, name);
  hostkey_type (blob, blob_bytes, type);
  while (next_entry (&s, &e)) {
    size_t n;
    bool same;

    if (e.marker == MARKER_IGNORED)
      continue;
    n = entry_blob (&e, known);
    same = n && n == blob_bytes && memcmp (known, blob, n) == 0;
    if (e.marker == MARKER_REVOKED) {
      if (!same)
        continue;
      set_found (&s, known, n, ret);
      return KNOWN_HOSTS_REVOKED;
    }
    if (same && verdict != KNOWN_HOSTS_MATCH) {
      verdict = KNOWN_HOSTS_MATCH;
      set_found (&s, known, n, ret);
    } else if (n && !same && verdict == KNOWN_HOSTS_UNKNOWN
               && span_is (e.type, type)) {
      verdict = KNOWN_HOSTS_CHANGED;
      set_found (&s, known, n, ret);
    }
  }
  return verdict;
}

enum known_hosts_verdict
known_hosts_check (const struct known_hosts_file *files, unsigned count,
                   const char *host, uint16_t port, const uint8_t *blob,
                   size_t blob_bytes, struct known_hosts_found *ret)
{
  char name[HOST_BYTES];
  struct known_hosts_found found = {0}, plain = {0};
  enum known_hosts_verdict v, p;

  if (!host_name (host, port, name))
    return KNOWN_HOSTS_UNKNOWN;
  v = check_name (files, count, name, blob, blob_bytes, &found);
  if (port != 22 && v != KNOWN_HOSTS_REVOKED && host_name (host, 22, name)) {
    p = check_name (files, count, name, blob, blob_bytes, &plain);
    if (p == KNOWN_HOSTS_REVOKED
        || (p == KNOWN_HOSTS_MATCH && v == KNOWN_HOSTS_UNKNOWN)) {
      v = p;
      found = plain;
    }
  }
  if (v != KNOWN_HOSTS_UNKNOWN)
    *ret = found;
  return v;
}

/* What libssh2 can check, most wanted first. */
static const char *const types[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
                                    "ecdsa-sha2-nistp384",
                                    "ecdsa-sha2-nistp521", "ssh-rsa"};

#define TYPES (sizeof types / sizeof types[0])

static unsigned
known_types (const struct known_hosts_file *files, unsigned count,
             const char *name)
{
  struct search s;
  struct entry e;
  unsigned known = 0;

  search_init (&s, files, count, name);
  while (next_entry (&s, &e))
    for (size_t i = 0; i < TYPES; i++)
      if (e.marker == MARKER_NONE && span_is (e.type, types[i]))
        known |= 1u << i;
  return known;
}

void
known_hosts_types (const struct known_hosts_file *files, unsigned count,
                   const char *host, uint16_t port,
                   char dst[HOSTKEY_TYPES_BYTES])
{
  char name[HOST_BYTES];
  unsigned known = 0;
  size_t used = 0;

  if (host_name (host, port, name))
    known = known_types (files, count, name);
  if (!known && host_name (host, 22, name))
    known = known_types (files, count, name);
  dst[0] = 0;
  for (size_t i = 0; i < TYPES; i++)
    if (known >> i & 1)
      used += (size_t)snprintf (dst + used, HOSTKEY_TYPES_BYTES - used, "%s%s",
                                used ? "," : "", types[i]);
}

void
hostkey_fingerprint (const uint8_t *blob, size_t blob_bytes,
                     char dst[HOSTKEY_FINGERPRINT_BYTES])
{
  uint8_t hash[EVP_MAX_MD_SIZE];
  uint8_t text[EVP_MAX_MD_SIZE];
  unsigned n = 0;

  if (!EVP_Digest (blob, blob_bytes, hash, &n, EVP_sha256 (), NULL)) {
    snprintf (dst, HOSTKEY_FINGERPRINT_BYTES, "?");
    return;
  }
  EVP_EncodeBlock (text, hash, (int)n);
  snprintf (dst, HOSTKEY_FINGERPRINT_BYTES, "SHA256:%.43s", (char *)text);
}

void
hostkey_type (const uint8_t *blob, size_t blob_bytes,
              char dst[HOSTKEY_TYPE_BYTES])
{
  struct wire w = wire_init (blob, blob_bytes);

  wire_cstring (&w, dst, HOSTKEY_TYPE_BYTES);
  for (const char *c = dst; *c; c++)
    if (!isgraph ((unsigned char)*c))
      dst[0] = 0;
  if (!dst[0])
    strcpy (dst, "?");
}
