/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "gateway/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uriparser/Uri.h>

#include "common/cleanup.h"
#include "protocols/params.h"

#define URL_BYTES 8192u

static void
cleanup_uri (UriUriA *u)
{
  uriFreeUriMembersA (u);
}

static size_t
range_bytes (const UriTextRangeA *r)
{
  return r->first ? (size_t)(r->afterLast - r->first) : 0;
}

/* Percent-decodes; a decoded NUL would cut the name short: refused. */
static enum err
decode (const char *first, size_t n, char *dst, size_t dst_bytes)
{
  const char *end;

  if (n >= dst_bytes)
    return ERR_LIMIT;
  memcpy (dst, first, n);
  dst[n] = 0;
  for (const char *s = dst; (s = strchr (s, '%')); s++) {
    if (!isxdigit ((unsigned char)s[1]) || !isxdigit ((unsigned char)s[2]))
      return ERR_INVAL;
    if (s[1] == '0' && s[2] == '0')
      return ERR_INVAL;
  }
  end = uriUnescapeInPlaceExA (dst, URI_FALSE, URI_BR_DONT_TOUCH);
  return strlen (dst) == (size_t)(end - dst) ? ERR_OK : ERR_INVAL;
}

static enum err
set_decoded (struct volume_spec *spec, const char *key, const char *first,
             size_t n, struct fault *f)
{
  char text[URL_BYTES];
  enum err e = decode (first, n, text, sizeof text);

  if (!e)
    e = volume_spec_set (spec, key, text, -1);
  if (e)
    return fault_set (f, e, "the %s in the URL is too long or badly encoded",
                      key);
  return ERR_OK;
}

static void
known_protocols (char *dst, size_t dst_bytes)
{
  size_t used = 0;

  dst[0] = 0;
  for (const struct proto_params *p = proto_params_table; p->name; p++) {
    int n = snprintf (dst + used, dst_bytes - used, "%s%s://", used ? ", " : "",
                      p->name);

    if (n < 0 || (size_t)n >= dst_bytes - used)
      return;
    used += (size_t)n;
  }
}

/* What others call what we speak. */
static const char *
meant (const char *scheme)
{
  static const struct {
    const char *scheme, *hint;
  } table[] = {{"ssh", "SSH servers are sftp://; "},
               {"scp", "SSH servers are sftp://; "},
               {"nfs3", "that is nfs://… with version=3; "},
               {"nfs4", "that is nfs://… with version=4.2; "}};

  for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp (scheme, table[i].scheme) == 0)
      return table[i].hint;
  return "";
}

static enum err
set_proto (struct volume_spec *spec, const UriUriA *u, const char *url,
           struct fault *f)
{
  size_t n = range_bytes (&u->scheme);
  const char *hint = "";
  char known[128];

  known_protocols (known, sizeof known);
  if (n > 0 && n < sizeof spec->proto) {
    for (size_t i = 0; i < n; i++)
      spec->proto[i] = (char)tolower ((unsigned char)u->scheme.first[i]);
    spec->proto[n] = 0;
    if (proto_params_find (spec->proto))
      return ERR_OK;
    hint = meant (spec->proto);
  }
  fault_set (f, ERR_INVAL, "\"%s\" is not a URL of a protocol that is known",
             url);
  fault_hint (f, "%sbegin it with one of: %s", hint, known);
  return ERR_INVAL;
}

static enum err
set_user (struct volume_spec *spec, const UriUriA *u, struct fault *f)
{
  size_t n = range_bytes (&u->userInfo);

  if (!n)
    return ERR_OK;
  if (!param_find (proto_params_find (spec->proto)->params, "user"))
    return fault_set (f, ERR_INVAL, "there is no user in a URL of %s",
                      spec->proto);
  if (memchr (u->userInfo.first, ':', n)) {
    fault_set (f, ERR_INVAL, "a password in a URL can be read by everybody");
    fault_hint (f, "leave it out and give password=- (prompt) or "
                   "password=+FILE");
    return ERR_INVAL;
  }
  return set_decoded (spec, "user", u->userInfo.first, n, f);
}

static enum err
set_path (struct volume_spec *spec, const UriUriA *u, const char *url,
          struct fault *f)
{
  const struct proto_params *proto = proto_params_find (spec->proto);
  const char *first, *end;

  if (range_bytes (&u->query) || u->query.first || range_bytes (&u->fragment)
      || u->fragment.first) {
    fault_set (f, ERR_INVAL, "the URL has a query or a fragment");
    fault_hint (f, "write ? as %%3F and # as %%23 in a path; parameters "
                   "follow the URL as key=value");
    return ERR_INVAL;
  }
  /* From the first slash after the authority: uriparser's segments do not
   * point into the text where they are empty.
   */
  first = u->portText.first ? u->portText.afterLast : u->hostText.afterLast;
  first = strchr (first, '/');
  end = url + strlen (url);
  if (!first)
    first = end;
  if (!(proto->flags & PROTO_PATH_OPTIONAL) && first == end) {
    fault_set (f, ERR_INVAL, "the URL names no file and no directory");
    fault_hint (f, "it looks like %s", proto->url);
    return ERR_INVAL;
  }
  return set_decoded (spec, "path", first, (size_t)(end - first), f);
}

/* The parser points behind a port that is none. The host's part ends at the
 * first slash, and begins behind the user's.
 */
static void
hint_of_host (const char *url, struct fault *f)
{
  const char *host = strstr (url, "://"), *port;
  size_t n;

  host = host ? host + 3 : "";
  n = strcspn (host, "/?#");
  for (const char *at; (at = memchr (host, '@', n)); host = at + 1)
    n -= (size_t)(at + 1 - host);
  port = memchr (host, ':', n);
  if (!port || host[0] == '[')
    return;
  port++;
  n -= (size_t)(port - host);
  if (memchr (port, ':', n))
    fault_hint (f, "an IPv6 address stands in brackets: sftp://[::1]/path");
  else if (strspn (port, "0123456789") < n)
    fault_hint (f, "the port behind the host is no number: \"%.*s\"",
                n > 100 ? 100 : (int)n, port);
}

enum err
url_parse (const char *url, struct volume_spec *spec, struct fault *f)
{
  __attribute__ ((cleanup (cleanup_uri))) UriUriA u = {0};
  const char *error_at = NULL;
  enum err e;

  if (strlen (url) >= URL_BYTES)
    return fault_set (f, ERR_LIMIT, "the URL is longer than %u bytes",
                      URL_BYTES - 1);
  if (uriParseSingleUriA (&u, url, &error_at) != URI_SUCCESS) {
    fault_set (f, ERR_INVAL, "\"%s\" is not a URL%s%.40s", url,
               error_at && *error_at ? ": wrong from here: " : "",
               error_at ? error_at : "");
    fault_hint (f, "it looks like sftp://[user@]host[:port]/path/to/file; "
                   "write a space as %%20");
    hint_of_host (url, f);
    return ERR_INVAL;
  }
  if ((e = set_proto (spec, &u, url, f)))
    return e;
  if (!range_bytes (&u.hostText)) {
    fault_set (f, ERR_INVAL, "\"%s\" names no host", url);
    fault_hint (f, "it looks like %s", proto_params_find (spec->proto)->url);
    return ERR_INVAL;
  }
  if ((e = set_decoded (spec, "host", u.hostText.first,
                        range_bytes (&u.hostText), f)))
    return e;
  if (range_bytes (&u.portText)
      && (e = set_decoded (spec, "port", u.portText.first,
                           range_bytes (&u.portText), f)))
    return e;
  if ((e = set_user (spec, &u, f)))
    return e;
  return set_path (spec, &u, url, f);
}
