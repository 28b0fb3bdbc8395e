/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/address.h"

#include <string.h>

#include "protocols/iscsi/keys.h"

static bool
host_character (char c, bool bracketed)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
         || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_'
         || (bracketed && (c == ':' || c == '%'));
}

/* Decimal digits at *p, which goes behind them. */
static bool
take_number (const char **p, uint32_t max, uint32_t *ret)
{
  uint32_t v = 0;
  const char *start = *p;

  for (; **p >= '0' && **p <= '9'; (*p)++) {
    v = v * 10 + (uint32_t)(**p - '0');
    if (v > max)
      return false;
  }
  *ret = v;
  return *p != start;
}

bool
address_parse (const char *value, char *host, size_t host_bytes,
               uint16_t *ret_port)
{
  const char *p = value;
  bool bracketed = *p == '[';
  uint32_t port = ADDRESS_DEFAULT_PORT, group;
  size_t n = 0;

  p += bracketed;
  while (host_character (p[n], bracketed))
    n++;
  if (n == 0 || n >= host_bytes || (bracketed && p[n] != ']'))
    return false;
  memcpy (host, p, n);
  host[n] = 0;
  p += n + bracketed;
  if (*p == ':') {
    p++;
    if (!take_number (&p, 65535, &port) || port == 0)
      return false;
  }
  if (*p == ',') {
    p++;
    if (!take_number (&p, 65535, &group))
      return false;
  }
  *ret_port = (uint16_t)port;
  return *p == 0;
}
