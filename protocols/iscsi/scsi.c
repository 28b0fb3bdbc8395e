/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/scsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/wire.h"
#include "protocols/iscsi/scsi_disk.h"
#include "protocols/iscsi/scsi_probe.h"
#include "protocols/iscsi/scsi_sense.h"

/* Tags of the probe's commands: none of the disk's are as large. */
#define PROBE_TAG (1ull << 63)
/* A session knows one capacity. When that has changed the next one finds out;
 * a target that says so all the time does not end each of them at once.
 */
#define CAPACITY_LIFE_NS (5ull * 1000 * 1000 * 1000)

struct scsi {
  struct scsi_setup setup;
  enum scsi_state state;
  uint64_t started_ns;
  struct fault fault;
  struct scsi_probe probe;
  struct scsi_disk disk; /* SCSI_READY, not a list */
  struct listing listing;
};

static uint64_t
lun_on_the_wire (unsigned lun)
{
  uint8_t bytes[8];
  struct wire w = wire_init (bytes, sizeof bytes);

  scsi_encode_lun ((uint16_t)lun, bytes);
  return wire_u64 (&w);
}

enum err
scsi_open (const struct scsi_setup *setup, struct scsi **ret)
{
  struct scsi *x = calloc (1, sizeof *x);

  if (!x)
    return ERR_NOMEM;
  assert (setup->list || setup->lun < 16384);
  x->setup = *setup;
  x->state = SCSI_PROBING;
  /* REPORT LUNS goes to LUN 0 (SPC-4 §6.33). */
  scsi_probe_init (&x->probe, setup->session,
                   lun_on_the_wire (setup->list ? 0 : setup->lun), setup->list,
                   PROBE_TAG);
  *ret = x;
  return ERR_OK;
}

void
scsi_close (struct scsi *x)
{
  if (!x)
    return;
  scsi_disk_fini (&x->disk);
  listing_fini (&x->listing);
  free (x);
}

enum scsi_state
scsi_state (const struct scsi *x)
{
  return x->state;
}

const struct fault *
scsi_fault (const struct scsi *x)
{
  return &x->fault;
}

static enum err
make_listing (struct scsi *x)
{
  const struct scsi_probe *p = &x->probe;

  for (unsigned i = 0; i < p->luns; i++) {
    const struct scsi_listed *l = &p->listed[i];
    char name[8];
    int n = snprintf (name, sizeof name, "%u", l->lun);
    enum err e = ERR_OK;

    /* A target's controller and the like cannot be opened. */
    if (l->disk)
      e = listing_add (&x->listing, name, (size_t)n,
                       l->size ? l->size : LISTING_SIZE_UNKNOWN,
                       l->description);
    if (e)
      return fault_set (&x->fault, e, "the list of LUNs is too long");
  }
  return ERR_OK;
}

/* Behind anything that the probe has done. */
static enum err
probed (struct scsi *x, enum err e)
{
  if (!e && x->probe.step == PROBE_DONE) {
    if (x->setup.list)
      e = make_listing (x);
    else if ((e = scsi_disk_init (&x->disk, x->setup.session, x->probe.lun,
                                  &x->probe.unit, x->setup.seed,
                                  x->setup.request_ns)))
      fault_set (&x->fault, e, "out of memory");
    if (!e)
      x->state = SCSI_READY;
  }
  if (e)
    x->state = SCSI_FAILED;
  return e;
}

void
scsi_start (struct scsi *x, uint64_t now_ns)
{
  x->started_ns = now_ns;
  probed (x, scsi_probe_start (&x->probe, now_ns, &x->fault));
}

/* SBC-3 §4.5: a UNIT ATTENTION says that it has changed, not to what. */
static enum err
check_capacity (struct scsi *x, uint64_t now_ns)
{
  if (!x->disk.capacity_changed || now_ns - x->started_ns < CAPACITY_LIFE_NS)
    return ERR_OK;
  x->state = SCSI_FAILED;
  return fault_set (&x->fault, ERR_CLOSED,
                    "the LUN says that its capacity has changed (UNIT "
                    "ATTENTION 2Ah/09h): a new session finds out");
}

/* RFC 7143 §11.9: the event's LUN field names one. If it is all zeroes, and we
 * are not LUN 0, perhaps nobody has filled it in: then a loss counts, as being
 * wrong about it costs no more than writing something twice.
 */
static bool
of_another_lun (const struct scsi *x, const struct session_result *r)
{
  struct scsi_sense sense;
  uint16_t lun;

  if (r->outcome != SESSION_EVENT || x->setup.list
      || (scsi_decode_lun (r->lun, &lun) && lun == x->setup.lun))
    return false;
  if (r->lun == 0 && !scsi_decode_sense (r->sense, r->sense_bytes, &sense))
    return !(scsi_judge (SCSI_CHECK_CONDITION, &sense).notes
             & SCSI_NOTE_RESET);
  return true;
}

enum err
scsi_result (struct scsi *x, const struct session_result *r, uint64_t now_ns)
{
  if (x->state != SCSI_FAILED && of_another_lun (x, r))
    return ERR_OK;
  switch (x->state) {
  case SCSI_PROBING:
    return probed (x, scsi_probe_result (&x->probe, r, now_ns, &x->fault));
  case SCSI_READY:
    if (!x->setup.list && !(r->tag & PROBE_TAG))
      scsi_disk_result (&x->disk, r, now_ns);
    return check_capacity (x, now_ns);
  case SCSI_FAILED:
    break;
  }
  return x->fault.code;
}

void
scsi_info (const struct scsi *x, struct volume_info *ret)
{
  assert (x->state == SCSI_READY && !x->setup.list);
  *ret = x->disk.info;
}

const struct listing *
scsi_listing (const struct scsi *x)
{
  assert (x->state == SCSI_READY && x->setup.list);
  return &x->listing;
}

enum err
scsi_submit (struct scsi *x, const struct proto_request *r, uint64_t now_ns)
{
  assert (x->state == SCSI_READY && !x->setup.list);
  return scsi_disk_submit (&x->disk, r, now_ns);
}

bool
scsi_reap (struct scsi *x, struct proto_completion *ret)
{
  return x->state == SCSI_READY && !x->setup.list
         && scsi_disk_reap (&x->disk, ret);
}

bool
scsi_say (struct scsi *x, char *dst)
{
  return x->state == SCSI_READY && !x->setup.list
         && scsi_disk_say (&x->disk, dst);
}

uint64_t
scsi_deadline_ns (const struct scsi *x)
{
  switch (x->state) {
  case SCSI_PROBING:
    return scsi_probe_deadline_ns (&x->probe);
  case SCSI_READY:
    return x->setup.list ? PROTO_NO_DEADLINE : scsi_disk_deadline_ns (&x->disk);
  case SCSI_FAILED:
    break;
  }
  return PROTO_NO_DEADLINE;
}

enum err
scsi_tick (struct scsi *x, uint64_t now_ns)
{
  if (x->state == SCSI_PROBING)
    return probed (x, scsi_probe_tick (&x->probe, now_ns, &x->fault));
  if (x->state == SCSI_READY && !x->setup.list)
    scsi_disk_tick (&x->disk, now_ns);
  return ERR_OK;
}
