/* SPDX-License-Identifier: BSD-2-Clause */
/* Login and discovery of the scripted target (RFC 7143 §6, §11.12, §13). */
#include "config.h"
#include "tests/fake/iscsi-target.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
  char bytes[8192];
  size_t used;
};

static void __attribute__ ((format (printf, 2, 3)))
add (struct text *t, const char *fmt, ...)
{
  va_list ap;

  va_start (ap, fmt);
  t->used +=
      (size_t)vsnprintf (t->bytes + t->used, sizeof t->bytes - t->used, fmt, ap)
      + 1;
  va_end (ap);
}

static uint32_t
smaller (const char *value, uint32_t ours)
{
  unsigned long v = strtoul (value, NULL, 10);

  return v < ours ? (uint32_t)v : ours;
}

static bool
offers (const char *list, const char *what)
{
  const char *p = strstr (list, what);

  return p != NULL && (p == list || p[-1] == ',');
}

static void
digest (const struct target *t, const char *key, const char *value,
        bool *wanted, struct text *out)
{
  *wanted = t->digests && offers (value, "CRC32C");
  add (out, "%s=%s", key, *wanted ? "CRC32C" : "None");
}

static void
negotiate (struct target *t, struct connection *c, const char *key,
           const char *value, struct text *out)
{
  static const char *const declared[] = {"InitiatorName", "InitiatorAlias",
                                         "TargetName",    "SessionType",
                                         "TargetAlias",   "AuthMethod"};
  static const char *const yes[] = {"DataPDUInOrder", "DataSequenceInOrder"};

  if (strcmp (key, "SessionType") == 0)
    c->discovery = strcmp (value, "Discovery") == 0;
  if (strcmp (key, "AuthMethod") == 0)
    add (out, "AuthMethod=None");
  for (size_t i = 0; i < sizeof declared / sizeof declared[0]; i++)
    if (strcmp (key, declared[i]) == 0)
      return;
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
    if (strcmp (key, yes[i]) == 0) {
      add (out, "%s=Yes", key);
      return;
    }
  if (strcmp (key, "HeaderDigest") == 0)
    digest (t, key, value, &c->digest_wanted_h, out);
  else if (strcmp (key, "DataDigest") == 0)
    digest (t, key, value, &c->digest_wanted_d, out);
  else if (strcmp (key, "MaxRecvDataSegmentLength") == 0) {
    c->max_data_bytes = smaller (value, 1u << 24);
    add (out, "MaxRecvDataSegmentLength=%u", DATA_MAX_BYTES);
  } else if (strcmp (key, "MaxBurstLength") == 0) {
    c->max_burst_bytes = smaller (value, BURST_BYTES);
    if (bad_now (t, BAD_huge))
      add (out, "MaxBurstLength=4294967295");
    else
      add (out, "MaxBurstLength=%u", c->max_burst_bytes);
  } else if (strcmp (key, "FirstBurstLength") == 0)
    add (out, "FirstBurstLength=%u", smaller (value, BURST_BYTES));
  else if (strcmp (key, "InitialR2T") == 0)
    add (out, "InitialR2T=Yes");
  else if (strcmp (key, "ImmediateData") == 0) {
    c->immediate = strcmp (value, "Yes") == 0 && !t->initial_r2t;
    add (out, "ImmediateData=%s", c->immediate ? "Yes" : "No");
  } else if (strcmp (key, "MaxOutstandingR2T") == 0
             || strcmp (key, "MaxConnections") == 0)
    add (out, "%s=%s", key, bad_now (t, BAD_number) ? "one" : "1");
  else if (strcmp (key, "DefaultTime2Wait") == 0
           || strcmp (key, "DefaultTime2Retain") == 0
           || strcmp (key, "ErrorRecoveryLevel") == 0)
    add (out, "%s=0", key);
  else
    add (out, "%s=NotUnderstood", key);
}

static void
answer_keys (struct target *t, struct connection *c, char *text,
             size_t text_bytes, struct text *out)
{
  for (size_t at = 0; at < text_bytes && out->used < 4096;) {
    char *key = text + at;
    size_t n = strnlen (key, text_bytes - at);
    char *value;

    at += n + 1;
    if (at > text_bytes || (value = memchr (key, '=', n)) == NULL)
      continue;
    *value++ = 0;
    negotiate (t, c, key, value, out);
  }
}

static bool
send_login (struct target *t, struct connection *c, const uint8_t *bhs,
            uint8_t flags, uint16_t status, const struct text *out)
{
  uint8_t r[BHS_BYTES] = {0x23, flags};

  memcpy (r + 8, c->isid, 6);
  put16 (r + 14, c->tsih);
  memcpy (r + 16, bhs + 16, 4); /* ITT */
  put32 (r + 24, c->stat_sn++);
  put32 (r + 28, c->exp_cmd_sn);
  put32 (r + 32, c->exp_cmd_sn + 63);
  put16 (r + 36, status);
  return send_pdu (t, c, r, out->bytes, out->used);
}

/* Nexus of the same initiator and ISID: the old one ends (§6.3.5). */
static void
reinstate (struct target *t, const struct connection *c)
{
  for (int i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *o = &t->connection[i];

    if (o != c && o->fd != -1 && o->full_feature
        && memcmp (o->isid, c->isid, 6) == 0)
      o->silent = true; /* what it has sent is not carried out any more */
  }
}

static bool
misbehave (struct target *t, struct connection *c, const uint8_t *bhs,
           bool *ret_alive)
{
  uint8_t stages = bhs[1] & 0x0f;
  struct text out = {.used = 0};

  if (c->endless || bad_now (t, BAD_text)) {
    c->endless = true;
    memset (out.bytes, 'x', 4000);
    memcpy (out.bytes, "X-endless=", 10);
    out.used = 4000;
    *ret_alive =
        send_login (t, c, bhs, (uint8_t)(0x40 | (stages & 0x0c)), 0, &out);
    return true;
  }
  if (bad_now (t, BAD_redirect)) {
    add (&out, "TargetAddress=127.0.0.1:%u,1", t->port);
    send_login (t, c, bhs, stages & 0x0c, 0x0101, &out);
    *ret_alive = false;
    return true;
  }
  if (t->redirect_left != 0) {
    t->redirect_left -= t->redirect_left > 0;
    add (&out, "TargetAddress=%s", t->redirect_to);
    send_login (t, c, bhs, stages & 0x0c, t->redirect_status, &out);
    *ret_alive = false;
    return true;
  }
  if (bad_now (t, BAD_key)) {
    add (&out, "NoValue");
    *ret_alive = send_login (t, c, bhs, stages & 0x0c, 0, &out);
    return true;
  }
  if (bad_now (t, BAD_stage)) {
    *ret_alive = send_login (t, c, bhs, 0x86, 0, &out); /* 1 → 2 */
    return true;
  }
  return false;
}

bool
login_request (struct target *t, struct connection *c, const uint8_t *bhs,
               char *text, size_t text_bytes)
{
  bool transit = bhs[1] & 0x80, alive = false;
  struct text out = {.used = 0};

  if (c->full_feature)
    return false;
  memcpy (c->isid, bhs + 8, 6);
  c->exp_cmd_sn = get32 (bhs + 24);
  if (c->tsih == 0)
    t->logins++;
  if (misbehave (t, c, bhs, &alive))
    return alive;
  if (c->tsih == 0)
    add (&out, "TargetPortalGroupTag=1");
  answer_keys (t, c, text, text_bytes, &out);
  if (transit && (bhs[1] & 3) == 3) {
    c->tsih = ++t->last_tsih ? t->last_tsih : ++t->last_tsih;
    if (!send_login (t, c, bhs, bhs[1] & 0x8f, 0, &out))
      return false;
    c->full_feature = true;
    c->header_digest = c->digest_wanted_h;
    c->data_digest = c->digest_wanted_d;
    c->attention = t->reboots > 0;
    if (!c->discovery)
      reinstate (t, c);
    return true;
  }
  return send_login (t, c, bhs, bhs[1] & 0x8f, 0, &out);
}

bool
text_request (struct target *t, struct connection *c, const uint8_t *bhs,
              char *text, size_t text_bytes)
{
  struct text out = {.used = 0};
  uint8_t r[BHS_BYTES] = {0x24, 0x80};

  (void)text;
  (void)text_bytes;
  add (&out, "TargetName=%s", t->name);
  add (&out, "TargetAddress=127.0.0.1:%u,1", t->port);
  memcpy (r + 16, bhs + 16, 4);
  put32 (r + 20, NO_TAG);
  put32 (r + 24, c->stat_sn++);
  put32 (r + 28, c->exp_cmd_sn);
  put32 (r + 32, c->exp_cmd_sn + 63);
  return send_pdu (t, c, r, out.bytes, out.used);
}
