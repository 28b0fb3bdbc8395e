/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/name.h"

#include <string.h>

#include "protocols/iscsi/keys.h"

static bool
is_hex (const char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
      return false;
  return true;
}

/* Of a name in small letters (§4.2.7.4 to §4.2.7.6). */
static bool
is_name (const char *p, size_t n)
{
  if (n >= 20 && memcmp (p, "eui.", 4) == 0)
    return n == 20 && is_hex (p + 4, 16);
  if (n >= 20 && memcmp (p, "naa.", 4) == 0)
    return (n == 20 || n == 36) && is_hex (p + 4, n - 4);
  return n > 4 && memcmp (p, "iqn.", 4) == 0;
}

enum err
name_normalise (const char *name, size_t length_bytes, const char *what,
                char dst[LOGIN_NAME_BYTES], struct fault *f)
{
  char small[LOGIN_NAME_BYTES] = "";

  if (length_bytes >= sizeof small)
    return fault_set (f, ERR_INVAL,
                      "the %s's name has %zu bytes, and %zu are the most (RFC "
                      "7143 §4.2.7.1)", what, length_bytes, sizeof small - 1);
  for (size_t i = 0; i < length_bytes; i++) {
    char c = name[i];

    /* What would end a value, a list or our path cannot be in a name. */
    if ((unsigned char)c <= ' ' || c == 0x7f || c == ',' || c == '/')
      return fault_set (f, ERR_INVAL,
                        "the %s's name \"%.*s\" has a character that no iSCSI "
                        "name has (RFC 7143 §4.2.7.2)",
                        what, (int)length_bytes, name);
    small[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
  }
  if (!is_name (small, length_bytes)) {
    fault_set (f, ERR_INVAL, "\"%.*s\" is no iSCSI name of a %s",
               (int)length_bytes, name, what);
    fault_hint (f, "names look like iqn.2004-10.com.example:disk, "
                   "eui.02004567a425678d or naa.52004567ba64678d");
    return ERR_INVAL;
  }
  memcpy (dst, small, sizeof small);
  return ERR_OK;
}

enum err
name_path (const char *path, struct name_path *ret, struct fault *f)
{
  struct name_path p = {0};
  const char *slash;
  uint32_t lun;
  enum err e;

  if (!path)
    path = "";
  path += *path == '/';
  if (!*path) {
    *ret = p;
    return ERR_OK;
  }
  slash = strchr (path, '/');
  e = name_normalise (path, slash ? (size_t)(slash - path) : strlen (path),
                      "target", p.target, f);
  if (e)
    return e;
  if (slash && slash[1]) {
    if (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2])
        || !keys_number (slash + 1, NAME_LUN_MAX, &lun)) {
      fault_set (f, ERR_INVAL, "\"%.40s\" is no LUN, which is a number of 0 to "
                               "%u", slash + 1, NAME_LUN_MAX);
      fault_hint (f, "URLs look like iscsi://host/iqn.2004-10.com.example:disk"
                     "/1");
      return ERR_INVAL;
    }
    p.has_lun = true;
    p.lun = lun;
  }
  *ret = p;
  return ERR_OK;
}
