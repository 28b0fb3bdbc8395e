/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/keys.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum kind { LIST, AND, OR, MIN, MAX, OURS };
enum sessions { N, ND };

static const struct {
  const char *name;
  enum kind kind;
  enum sessions sessions;
  uint32_t min, max, fallback;
  const char *section;
} table[KEYS_COUNT] = {
#define X(id, name, kind, sessions, min, max, fallback, section)               \
  {name, kind, sessions, min, max, fallback, section},
    KEYS_TABLE (X)
#undef X
};

void
keys_init (struct keys *k, bool discovery)
{
  memset (k, 0, sizeof *k);
  k->discovery = discovery;
  for (unsigned i = 0; i < KEYS_COUNT; i++)
    k->offered[i] = k->result[i] = table[i].fallback;
}

const char *
keys_section (const char *name)
{
  for (unsigned i = 0; i < KEYS_COUNT; i++)
    if (strcmp (table[i].name, name) == 0)
      return table[i].section;
  return NULL;
}

void
keys_put (struct wirebuf *b, const char *name, const char *fmt, ...)
{
  char value[1024];
  va_list ap;
  int n;

  va_start (ap, fmt);
  n = vsnprintf (value, sizeof value, fmt, ap);
  va_end (ap);
  if (n < 0 || (size_t)n >= sizeof value) {
    b->err = ERR_LIMIT;
    return;
  }
  wirebuf_bytes (b, name, strlen (name));
  wirebuf_u8 (b, '=');
  wirebuf_bytes (b, value, (size_t)n + 1);
}

static const char *
list_text (uint32_t set)
{
  switch (set) {
  case KEYS_NONE:
    return "None";
  case KEYS_CRC32C:
    return "CRC32C";
  default:
    return "None,CRC32C";
  }
}

void
keys_offer (const struct keys *k, struct wirebuf *b)
{
  for (unsigned i = 0; i < KEYS_COUNT; i++) {
    uint32_t v = k->offered[i];

    assert (v >= table[i].min && v <= table[i].max);
    if (k->discovery && table[i].sessions == N)
      continue;
    switch (table[i].kind) {
    case LIST:
      keys_put (b, table[i].name, "%s", list_text (v));
      break;
    case AND:
    case OR:
      keys_put (b, table[i].name, "%s", v ? "Yes" : "No");
      break;
    default:
      keys_put (b, table[i].name, "%u", v);
    }
  }
}

/* A value of this key's kind, as a number. */
static bool
parse (unsigned i, const char *value, uint32_t *ret)
{
  switch (table[i].kind) {
  case LIST:
    *ret = strcmp (value, "None") == 0     ? KEYS_NONE
           : strcmp (value, "CRC32C") == 0 ? KEYS_CRC32C
                                           : 0;
    return *ret != 0;
  case AND:
  case OR:
    *ret = strcmp (value, "Yes") == 0;
    return *ret || strcmp (value, "No") == 0;
  default:
    return keys_number (value, table[i].max, ret) && *ret >= table[i].min;
  }
}

/* What counts when the target says v (§6.2.1, §6.2.2). Returns false if v is no
 * possible answer to what we have offered.
 */
static bool
result (unsigned i, uint32_t ours, uint32_t v, uint32_t *ret)
{
  *ret = v;
  switch (table[i].kind) {
  case LIST:
    return ours & v;
  case AND:
  case MIN:
    return v <= ours;
  case OR:
  case MAX:
    return v >= ours;
  case OURS:
    return true;
  }
  return false;
}

/* The three answers that are no value (§6.2). */
static bool
is_refusal (const char *value)
{
  return strcmp (value, "Reject") == 0 || strcmp (value, "NotUnderstood") == 0;
}

/* The user says what it must be, and the target wants something else. */
static enum err
digest_refused (const struct keys *k, unsigned i, const char *value,
                struct fault *f)
{
  const char *ours = i == KEY_HEADER_DIGEST ? "header-digest" : "data-digest";
  bool none = strcmp (value, "None") == 0;

  if (k->offered[i] == KEYS_CRC32C && (none || is_refusal (value))) {
    fault_set (f, ERR_NOTSUP, "the target does not do the %s that is asked "
                              "for (RFC 7143 §%s)",
               table[i].name, table[i].section);
    fault_hint (f, "switch it on there, or leave %s= out", ours);
    return ERR_NOTSUP;
  }
  if (k->offered[i] == KEYS_NONE && !none) {
    fault_set (f, ERR_NOTSUP, "the target answers %s=%.60s: it insists on a "
                              "digest (RFC 7143 §%s)",
               table[i].name, value, table[i].section);
    fault_hint (f, "give %s=crc32c", ours);
    return ERR_NOTSUP;
  }
  return ERR_OK;
}

enum err
keys_answer (struct keys *k, const char *name, const char *value,
             struct fault *f)
{
  uint32_t v;
  enum err e;

  for (unsigned i = 0; i < KEYS_COUNT; i++) {
    if (strcmp (table[i].name, name) != 0)
      continue;
    if (k->answered[i])
      return fault_set (f, ERR_PEER,
                        "the target sends %s twice (RFC 7143 §6.2)", name);
    k->answered[i] = true;
    if (strcmp (value, "Irrelevant") == 0)
      return ERR_OK;
    if (table[i].kind == LIST && (e = digest_refused (k, i, value, f)))
      return e;
    if (is_refusal (value))
      return fault_set (f, ERR_PEER,
                        "the target answers %s=%s, which it must understand "
                        "(RFC 7143 §6.2, §%s)",
                        name, value, table[i].section);
    if (!parse (i, value, &v) || !result (i, k->offered[i], v, &k->result[i]))
      return fault_set (f, ERR_PEER,
                        "the target answers %s=%.60s, which is no answer to "
                        "what was offered (RFC 7143 §%s)",
                        name, value, table[i].section);
    return ERR_OK;
  }
  return ERR_NOENT;
}

bool
keys_next (const uint8_t *text, size_t text_bytes, size_t *offset,
           struct keys_pair *ret, enum err *ret_error, struct fault *f)
{
  const uint8_t *p, *end, *equals;

  /* Some targets pad with more than the one NUL. */
  while (*offset < text_bytes && text[*offset] == 0)
    (*offset)++;
  if (*offset == text_bytes)
    return false;
  p = text + *offset;
  end = memchr (p, 0, text_bytes - *offset);
  if (!end) {
    *ret_error = fault_set (f, ERR_PEER,
                            "the target's text ends within a pair, without "
                            "its NUL (RFC 7143 §6.1)");
    return false;
  }
  equals = memchr (p, '=', (size_t)(end - p));
  if (!equals || equals == p || (size_t)(equals - p) > KEYS_NAME_BYTES
      || (size_t)(end - equals) > KEYS_VALUE_BYTES) {
    *ret_error = fault_set (f, ERR_PEER,
                            "the target's text has a pair that is no "
                            "key=value: \"%.40s\" (RFC 7143 §6.1)",
                            (const char *)p);
    return false;
  }
  memcpy (ret->name, p, (size_t)(equals - p));
  ret->name[equals - p] = 0;
  ret->value = (const char *)equals + 1;
  *offset += (size_t)(end - p) + 1;
  return true;
}

static int
hex_digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

static bool
has_prefix (const char *value, char letter)
{
  return value[0] == '0' && (value[1] | 0x20) == letter;
}

bool
keys_number (const char *value, uint32_t max, uint32_t *ret)
{
  bool hex = has_prefix (value, 'x');
  uint64_t v = 0;

  if (hex)
    value += 2;
  if (!*value)
    return false;
  for (; *value; value++) {
    int digit = hex_digit (*value);

    if (digit < 0 || (!hex && digit > 9))
      return false;
    v = v * (hex ? 16 : 10) + (unsigned)digit;
    if (v > max)
      return false;
  }
  *ret = (uint32_t)v;
  return true;
}

static bool
from_hex (const char *p, uint8_t *dst, size_t dst_bytes, size_t *ret_bytes)
{
  size_t digits = strlen (p), n = 0;

  if (digits == 0 || (digits + 1) / 2 > dst_bytes)
    return false;
  memset (dst, 0, (digits + 1) / 2);
  /* An odd first digit stands alone: 0xabc is 0a bc. */
  for (size_t i = digits & 1; *p; p++, i++) {
    int digit = hex_digit (*p);

    if (digit < 0)
      return false;
    n = i / 2;
    dst[n] = (uint8_t)(dst[n] << 4 | digit);
  }
  *ret_bytes = n + 1;
  return true;
}

static int
base64_digit (char c)
{
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *p = c ? strchr (alphabet, c) : NULL;

  return p ? (int)(p - alphabet) : -1;
}

static bool
from_base64 (const char *p, uint8_t *dst, size_t dst_bytes, size_t *ret_bytes)
{
  size_t length = strlen (p), n = 0;
  uint32_t bits = 0;
  unsigned have = 0;

  if (length == 0 || length % 4)
    return false;
  for (unsigned pads = 0; pads < 2 && p[length - 1] == '='; pads++)
    length--;
  for (size_t i = 0; i < length; i++) {
    int digit = base64_digit (p[i]);

    if (digit < 0)
      return false;
    bits = bits << 6 | (uint32_t)digit;
    have += 6;
    if (have < 8)
      continue;
    have -= 8;
    if (n == dst_bytes)
      return false;
    dst[n++] = (uint8_t)(bits >> have);
  }
  *ret_bytes = n;
  return n > 0;
}

bool
keys_binary (const char *value, uint8_t *dst, size_t dst_bytes,
             size_t *ret_bytes)
{
  if (has_prefix (value, 'x'))
    return from_hex (value + 2, dst, dst_bytes, ret_bytes);
  if (has_prefix (value, 'b'))
    return from_base64 (value + 2, dst, dst_bytes, ret_bytes);
  return false;
}

void
keys_put_binary (struct wirebuf *b, const char *name, const uint8_t *bytes,
                 size_t length_bytes)
{
  static const char digits[] = "0123456789abcdef";

  wirebuf_bytes (b, name, strlen (name));
  wirebuf_bytes (b, "=0x", 3);
  for (size_t i = 0; i < length_bytes; i++) {
    wirebuf_u8 (b, (uint8_t)digits[bytes[i] >> 4]);
    wirebuf_u8 (b, (uint8_t)digits[bytes[i] & 15]);
  }
  wirebuf_u8 (b, 0);
}
