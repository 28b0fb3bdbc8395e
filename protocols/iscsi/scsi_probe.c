/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi_probe.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "protocols/iscsi/scsi_cdb.h"
#include "protocols/iscsi/scsi_sense.h"

#define ALL_MODE_PAGES 0x3f
#define CACHING_MODE_PAGE 0x08
/* Enough to see that there is an answer. */
#define LBA_STATUS_TRIED 4u

/* What each step sends; needed: it may not fail. */
static const struct step {
  struct scsi_ask ask;
  bool needed;
  const char *name;
} steps[PROBE_DONE] = {
    [PROBE_READY] = {{.verb = SCSI_TEST_UNIT_READY}, false, "TEST UNIT READY"},
    [PROBE_INQUIRY] = {{.verb = SCSI_INQUIRY, .bytes = SCSI_INQUIRY_BYTES},
                       true,
                       "INQUIRY"},
    [PROBE_VPD_PAGES] = {{.verb = SCSI_INQUIRY,
                          .vpd = true,
                          .page = SCSI_VPD_PAGES,
                          .bytes = SCSI_VPD_BYTES},
                         false,
                         "INQUIRY"},
    [PROBE_VPD_SERIAL] = {{.verb = SCSI_INQUIRY,
                           .vpd = true,
                           .page = SCSI_VPD_SERIAL,
                           .bytes = SCSI_VPD_BYTES},
                          false,
                          "INQUIRY"},
    [PROBE_VPD_IDENTITY] = {{.verb = SCSI_INQUIRY,
                             .vpd = true,
                             .page = SCSI_VPD_IDENTITY,
                             .bytes = SCSI_VPD_BYTES},
                            false,
                            "INQUIRY"},
    [PROBE_VPD_LIMITS] = {{.verb = SCSI_INQUIRY,
                           .vpd = true,
                           .page = SCSI_VPD_LIMITS,
                           .bytes = SCSI_VPD_BYTES},
                          false,
                          "INQUIRY"},
    [PROBE_VPD_CHARACTERISTICS] = {{.verb = SCSI_INQUIRY,
                                    .vpd = true,
                                    .page = SCSI_VPD_CHARACTERISTICS,
                                    .bytes = SCSI_VPD_BYTES},
                                   false,
                                   "INQUIRY"},
    [PROBE_VPD_PROVISIONING] = {{.verb = SCSI_INQUIRY,
                                 .vpd = true,
                                 .page = SCSI_VPD_PROVISIONING,
                                 .bytes = SCSI_VPD_BYTES},
                                false,
                                "INQUIRY"},
    [PROBE_CAPACITY_16] = {{.verb = SCSI_READ_CAPACITY_16,
                            .bytes = SCSI_CAPACITY_16_BYTES},
                           false,
                           "READ CAPACITY(16)"},
    [PROBE_CAPACITY_10] = {{.verb = SCSI_READ_CAPACITY_10,
                            .bytes = SCSI_CAPACITY_10_BYTES},
                           true,
                           "READ CAPACITY(10)"},
    [PROBE_MODE] = {{.verb = SCSI_MODE_SENSE,
                     .page = CACHING_MODE_PAGE,
                     .bytes = SCSI_MODE_BYTES},
                    false,
                    "MODE SENSE(6)"},
    [PROBE_MODE_LONGER] = {{.verb = SCSI_MODE_SENSE,
                            .page = CACHING_MODE_PAGE,
                            .bytes = SCSI_MODE_BYTES,
                            .longer = true},
                           false,
                           "MODE SENSE(10)"},
    [PROBE_MODE_ALL] = {{.verb = SCSI_MODE_SENSE,
                         .page = ALL_MODE_PAGES,
                         .bytes = SCSI_MODE_BYTES},
                        false,
                        "MODE SENSE(6)"},
    [PROBE_LBA_STATUS] = {{.verb = SCSI_GET_LBA_STATUS,
                           .bytes = SCSI_LBA_STATUS_BYTES (LBA_STATUS_TRIED)},
                          false,
                          "GET LBA STATUS"},
    [PROBE_LUNS] = {{.verb = SCSI_REPORT_LUNS,
                     .bytes = SCSI_LUNS_BYTES (SCSI_PROBE_LUNS)},
                    true,
                    "REPORT LUNS"},
    [PROBE_LUN_INQUIRY] = {{.verb = SCSI_INQUIRY, .bytes = SCSI_INQUIRY_BYTES},
                           false,
                           "INQUIRY"},
    [PROBE_LUN_CAPACITY] = {{.verb = SCSI_READ_CAPACITY_16,
                             .bytes = SCSI_CAPACITY_16_BYTES},
                            false,
                            "READ CAPACITY(16)"},
};

void
scsi_probe_init (struct scsi_probe *p, struct session *session, uint64_t lun,
                 bool list, uint64_t first_tag)
{
  memset (p, 0, sizeof *p);
  p->session = session;
  p->lun = lun;
  p->tag = first_tag;
  p->step = list ? PROBE_LUNS : PROBE_READY;
}

static enum err
send_step (struct scsi_probe *p, uint64_t now_ns)
{
  const struct scsi_ask *a = &steps[p->step].ask;
  struct session_command c = {.tag = ++p->tag, .lun = p->lun};
  struct scsi_cdb cdb;
  enum err e = scsi_encode (a, &cdb);

  assert (!e && !p->open && a->bytes <= sizeof p->buffer);
  memcpy (c.cdb, cdb.bytes, sizeof c.cdb);
  if (scsi_direction (a) == SCSI_DATA_IN) {
    c.direction = SESSION_READ;
    c.length_bytes = a->bytes;
    c.data = p->buffer;
  }
  e = session_submit (p->session, &c, now_ns);
  p->open = !e;
  return e;
}

enum err
scsi_probe_start (struct scsi_probe *p, uint64_t now_ns, struct fault *f)
{
  enum err e;

  p->deadline_ns = now_ns + SCSI_PROBE_TIMEOUT_NS;
  e = send_step (p, now_ns);
  return e ? fault_set (f, e, "the first command cannot be sent") : ERR_OK;
}

/* ------------------------------------------------------------- what has come
 */

static enum err
check_inquiry (const struct scsi_probe *p, struct fault *f)
{
  const struct scsi_inquiry *i = &p->unit.inquiry;

  /* SPC-4 §6.6.2: 001b: the LUN could be there, but is not; 011b: never. */
  if (i->qualifier || i->type == 0x1f) {
    fault_set (f, ERR_NOENT,
               "there is no such LUN at this target (PERIPHERAL QUALIFIER %u)",
               i->qualifier);
    fault_hint (f, "bulkhead discover with a URL without the LUN lists them");
    return ERR_NOENT;
  }
  if (i->type != SCSI_TYPE_DISK)
    return fault_set (
        f, ERR_NOTSUP,
        "the LUN is no disk (PERIPHERAL DEVICE TYPE %02Xh: %s %s)", i->type,
        i->vendor, i->product);
  return ERR_OK;
}

static enum err
take_listed (struct scsi_probe *p, size_t n)
{
  struct scsi_listed *at = &p->listed[p->lun_at];
  struct scsi_inquiry i;
  struct scsi_capacity c;
  enum err e;

  if (p->step == PROBE_LUN_INQUIRY) {
    e = scsi_decode_inquiry (p->buffer, n, &i, NULL);
    if (e)
      return e;
    at->disk = i.qualifier == 0 && i.type == SCSI_TYPE_DISK;
    snprintf (at->description, sizeof at->description, "%s %s", i.vendor,
              i.product);
    return ERR_OK;
  }
  e = scsi_decode_capacity_16 (p->buffer, n, &c, NULL);
  if (!e)
    at->size = c.blocks * c.block_bytes;
  return e;
}

/* The next best: it tells one LUN of a target from another. */
static void
name_by_serial (struct scsi_unit *u)
{
  if (u->serial[0])
    snprintf (u->identity, sizeof u->identity, "serial.%s", u->serial);
}

/* Decodes what a step was answered with. */
static enum err
take (struct scsi_probe *p, size_t n, struct fault *f)
{
  struct scsi_unit *u = &p->unit;
  const uint8_t *b = p->buffer;
  bool larger = false;
  struct io_extent x[LBA_STATUS_TRIED];
  uint32_t count, blocks;
  enum err e;

  switch (p->step) {
  case PROBE_INQUIRY:
    e = scsi_decode_inquiry (b, n, &u->inquiry, f);
    return e ? e : check_inquiry (p, f);
  case PROBE_VPD_PAGES:
    return scsi_decode_vpd_pages (b, n, &u->pages, f);
  case PROBE_VPD_SERIAL:
    e = scsi_decode_vpd_serial (b, n, u->serial, f);
    if (!e && !u->pages.identity)
      name_by_serial (u);
    return e;
  case PROBE_VPD_IDENTITY:
    e = scsi_decode_vpd_identity (b, n, u->identity, f);
    if (!e && !u->identity[0])
      name_by_serial (u);
    return e;
  case PROBE_VPD_LIMITS:
    return scsi_decode_vpd_limits (b, n, &u->limits, f);
  case PROBE_VPD_CHARACTERISTICS:
    return scsi_decode_vpd_characteristics (b, n, &u->characteristics, f);
  case PROBE_VPD_PROVISIONING:
    return scsi_decode_vpd_provisioning (b, n, &u->provisioning, f);
  case PROBE_CAPACITY_16:
    return scsi_decode_capacity_16 (b, n, &u->capacity, f);
  case PROBE_CAPACITY_10:
    e = scsi_decode_capacity_10 (b, n, &u->capacity, &larger, f);
    if (!e && larger)
      e = fault_set (f, ERR_NOTSUP,
                     "the LUN is too large for READ CAPACITY(10), and the "
                     "server has no READ CAPACITY(16)");
    return e;
  case PROBE_MODE:
  case PROBE_MODE_LONGER:
  case PROBE_MODE_ALL:
    e = scsi_decode_mode (b, n, p->step == PROBE_MODE_LONGER, &u->mode, f);
    u->has_mode = !e;
    return e;
  case PROBE_LBA_STATUS:
    e = scsi_decode_lba_status (b, n, 0, 1, u->capacity.block_bytes, false, x,
                                LBA_STATUS_TRIED, &count, &blocks, f);
    u->has_lba_status = !e;
    return e;
  case PROBE_LUNS:
    return scsi_decode_luns (b, n, p->lun_list, SCSI_PROBE_LUNS, &p->luns,
                             &p->luns_total, f);
  case PROBE_LUN_INQUIRY:
  case PROBE_LUN_CAPACITY:
    return take_listed (p, n);
  default:
    return ERR_OK;
  }
}

/* ------------------------------------------------------------------ and next
 */

static bool
wants (const struct scsi_probe *p, enum scsi_probe_step step)
{
  const struct scsi_unit *u = &p->unit;

  switch (step) {
  case PROBE_VPD_SERIAL:
    return u->pages.serial;
  case PROBE_VPD_IDENTITY:
    return u->pages.identity;
  case PROBE_VPD_LIMITS:
    return u->pages.limits;
  case PROBE_VPD_CHARACTERISTICS:
    return u->pages.characteristics;
  case PROBE_VPD_PROVISIONING:
    return u->pages.provisioning;
  case PROBE_CAPACITY_10:
    return !u->capacity.block_bytes;
  case PROBE_MODE_LONGER:
  case PROBE_MODE_ALL:
    return !u->has_mode;
  case PROBE_LBA_STATUS:
    return u->capacity.provisioned || u->provisioning.thin;
  case PROBE_LUNS:
  case PROBE_LUN_INQUIRY:
  case PROBE_LUN_CAPACITY:
    return false;
  default:
    return true;
  }
}

/* The next command for a list. A LUN that does not answer is no disk. */
static void
next_listed (struct scsi_probe *p)
{
  struct scsi_listed *at = &p->listed[p->lun_at];
  uint8_t lun[8];
  struct wire w = wire_init (lun, sizeof lun);

  if (p->step == PROBE_LUN_INQUIRY && at->disk) {
    p->step = PROBE_LUN_CAPACITY;
    return;
  }
  if (p->step != PROBE_LUNS)
    p->lun_at++;
  p->step = PROBE_DONE;
  if (p->lun_at < p->luns) {
    p->listed[p->lun_at].lun = p->lun_list[p->lun_at];
    scsi_encode_lun (p->lun_list[p->lun_at], lun);
    p->lun = wire_u64 (&w);
    p->step = PROBE_LUN_INQUIRY;
  }
}

static enum err
next_step (struct scsi_probe *p, uint64_t now_ns, struct fault *f)
{
  enum err e;

  if (p->step >= PROBE_LUNS)
    next_listed (p);
  else
    do
      p->step = (enum scsi_probe_step) (p->step + 1);
    while (p->step != PROBE_DONE && !wants (p, p->step));
  p->tries = 0;
  if (p->step == PROBE_DONE)
    return ERR_OK;
  e = send_step (p, now_ns);
  return e ? fault_set (f, e, "%s cannot be sent", steps[p->step].name)
           : ERR_OK;
}

/* A command was not carried out, and will not be. */
static enum err
refused (struct scsi_probe *p, const struct scsi_outcome *o, const char *why,
         uint64_t now_ns, struct fault *f)
{
  /* "There is no such LUN" is final whoever says it. */
  if (p->step > PROBE_LUNS)
    return next_step (p, now_ns, f);
  if (!steps[p->step].needed && o->error != ERR_NOENT
      && !(p->step == PROBE_READY && o->error != ERR_NOTSUP))
    return next_step (p, now_ns, f);
  fault_set (f, o->error == ERR_NOENT ? ERR_NOENT : ERR_IO, "%s: %s",
             steps[p->step].name, why);
  if (o->error == ERR_NOENT)
    fault_hint (f, "bulkhead discover with a URL without the LUN lists them");
  return o->error == ERR_NOENT ? ERR_NOENT : ERR_IO;
}

static enum err
again (struct scsi_probe *p, bool later, const char *why, uint64_t now_ns,
       struct fault *f)
{
  snprintf (p->last, sizeof p->last, "%s: %s", steps[p->step].name, why);
  if (p->step > PROBE_LUNS && (later || p->tries >= SCSI_PROBE_TRIES))
    return next_step (p, now_ns, f);
  if (!later && ++p->tries > SCSI_PROBE_TRIES)
    return fault_set (f, ERR_IO, "%s, again and again", p->last);
  p->retry_ns = later ? now_ns + SCSI_PROBE_PAUSE_NS : now_ns;
  return scsi_probe_tick (p, now_ns, f);
}

/* What changes behind its answer, the answer does not have. */
static void
note (struct scsi_probe *p, const struct scsi_outcome *o)
{
  uint32_t stale = o->notes;

  if (p->step <= PROBE_CAPACITY_10)
    stale &= ~SCSI_NOTE_CAPACITY;
  if (p->step <= PROBE_MODE_ALL)
    stale &= ~(SCSI_NOTE_MODE | SCSI_NOTE_RESET);
  p->unit.notes
      |= stale & (SCSI_NOTE_CAPACITY | SCSI_NOTE_MODE | SCSI_NOTE_RESET);
}

enum err
scsi_probe_result (struct scsi_probe *p, const struct session_result *r,
                   uint64_t now_ns, struct fault *f)
{
  struct scsi_sense sense;
  struct fault unfit;
  bool readable;
  char text[SCSI_TEXT_BYTES];
  const char *why = text;
  struct scsi_outcome o = {SCSI_VERDICT_AGAIN, ERR_IO, 0};
  enum err e;

  readable =
      r->sense_bytes && !scsi_decode_sense (r->sense, r->sense_bytes, &sense);
  if (r->outcome == SESSION_EVENT && readable) {
    o = scsi_judge (SCSI_CHECK_CONDITION, &sense);
    note (p, &o);
  }
  if (r->outcome == SESSION_EVENT || !p->open || r->tag != p->tag)
    return ERR_OK;
  p->open = false;
  if (r->outcome == SESSION_DONE) {
    o = scsi_judge (r->status, readable ? &sense : NULL);
    note (p, &o);
    scsi_outcome_text (r->status, readable ? &sense : NULL, text);
  } else
    why = r->outcome == SESSION_ABORTED ? "no answer in time"
                                        : "the target could not deliver it";
  switch (o.verdict) {
  case SCSI_VERDICT_AGAIN:
  case SCSI_VERDICT_LATER:
    return again (p, o.verdict == SCSI_VERDICT_LATER, why, now_ns, f);
  case SCSI_VERDICT_FAILED:
    return refused (p, &o, why, now_ns, f);
  case SCSI_VERDICT_DONE:
    break;
  }
  e = take (p, r->transferred_bytes, &unfit);
  /* ERR_NOTSUP: understood, and nothing that another command could better. */
  if (e && (steps[p->step].needed
            || (e == ERR_NOTSUP && p->step < PROBE_LUNS))) {
    *f = unfit;
    return e;
  }
  return next_step (p, now_ns, f);
}

uint64_t
scsi_probe_deadline_ns (const struct scsi_probe *p)
{
  if (p->step == PROBE_DONE || p->open)
    return UINT64_MAX; /* the session watches over commands that are out */
  return p->retry_ns < p->deadline_ns ? p->retry_ns : p->deadline_ns;
}

enum err
scsi_probe_tick (struct scsi_probe *p, uint64_t now_ns, struct fault *f)
{
  enum err e;

  if (p->step == PROBE_DONE || p->open)
    return ERR_OK;
  if (now_ns >= p->deadline_ns)
    return fault_set (f, ERR_TIMEOUT, "the LUN does not become ready: %s",
                      p->last);
  if (now_ns < p->retry_ns)
    return ERR_OK;
  e = send_step (p, now_ns);
  return e ? fault_set (f, e, "%s cannot be sent", steps[p->step].name)
           : ERR_OK;
}
