/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "ipc/status.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint8_t bytes[CONTROL_BODY_BYTES];

static struct status_gateway
a_gateway (void)
{
  struct status_gateway g = {
      .id = 3,
      .volume = 2,
      .pid = 4711,
      .uid = 1000,
      .age_ns = 5,
      .program = "plugin",
      .name = "sftp://me@host/file",
      .has_info = true,
      .holds_lease = true,
      .info = {.size = 1 << 20,
               .block_min = 512,
               .block_preferred = 4096,
               .request_max = 65536,
               .caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH},
      .workers = 2,
      .worker = {{.state = STATUS_WORKER_READY, .pid = 5, .layers = 7},
                 {.state = STATUS_WORKER_BACKOFF, .why = "no \033 route"}},
  };

  return g;
}

/* A shorter message is damaged, whatever it is cut off at. */
static void
a_gateway_comes_as_it_was_sent (void)
{
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct status_gateway g = a_gateway (), r;
  struct wire w;

  status_gateway_put (&b, &g);
  CU_ASSERT_FALSE (b.err);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL_FATAL (status_gateway_take (&w, &r), ERR_OK);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  CU_ASSERT_EQUAL (r.id, 3);
  CU_ASSERT_EQUAL (r.volume, 2);
  CU_ASSERT_EQUAL (r.pid, 4711);
  CU_ASSERT_STRING_EQUAL (r.name, g.name);
  CU_ASSERT (r.holds_lease && !r.waits_lease && !r.has_stats);
  CU_ASSERT_EQUAL (r.info.size, 1 << 20);
  CU_ASSERT_EQUAL (r.workers, 2);
  CU_ASSERT_EQUAL (r.worker[0].layers, 7);
  CU_ASSERT_STRING_EQUAL (r.worker[1].why, "no ? route");
  CU_ASSERT_EQUAL (r.stats_fd, -1);
  for (size_t n = 0; n < b.used_bytes; n++) {
    w = wire_init (bytes, n);
    CU_ASSERT (status_gateway_take (&w, &r) != ERR_OK);
  }
}

static void
a_volume_comes_as_it_was_sent (void)
{
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct status_volume v = {.id = 9,
                            .uid = 7,
                            .name = "nfs://h/f",
                            .size = STATUS_UNKNOWN,
                            .no_cache = "none",
                            .pages = 1,
                            .fills = 2,
                            .evictions = 3,
                            .lease = STATUS_LEASE_HELD,
                            .gateways = 4},
                       r;
  struct wire w;

  status_volume_put (&b, &v);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL_FATAL (status_volume_take (&w, &r), ERR_OK);
  CU_ASSERT_EQUAL (wire_end (&w), ERR_OK);
  CU_ASSERT_EQUAL (r.size, STATUS_UNKNOWN);
  CU_ASSERT_STRING_EQUAL (r.name, "nfs://h/f");
  CU_ASSERT_STRING_EQUAL (r.no_cache, "none");
  CU_ASSERT (r.pages == 1 && r.fills == 2 && r.evictions == 3);
  CU_ASSERT (r.lease == STATUS_LEASE_HELD && r.gateways == 4);
  for (size_t n = 0; n < b.used_bytes; n++) {
    w = wire_init (bytes, n);
    CU_ASSERT (status_volume_take (&w, &r) != ERR_OK);
  }
}

static void
what_has_no_word_is_refused (void)
{
  struct wirebuf b = wirebuf_init (bytes, sizeof bytes);
  struct status_gateway g = a_gateway (), r;
  struct status_volume v = {.lease = STATUS_LEASES};
  struct wire w;

  g.worker[1].state = STATUS_WORKER_STATES;
  status_gateway_put (&b, &g);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (status_gateway_take (&w, &r), ERR_PEER);
  b = wirebuf_init (bytes, sizeof bytes);
  status_volume_put (&b, &v);
  w = wire_init (bytes, b.used_bytes);
  CU_ASSERT_EQUAL (status_volume_take (&w, &v), ERR_PEER);
  g = a_gateway ();
  g.workers = CHANNEL_PATHS + 1;
  b = wirebuf_init (bytes, sizeof bytes);
  g.workers = 0;
  status_gateway_put (&b, &g);
  bytes[b.used_bytes - 1] = CHANNEL_PATHS + 1;
  w = wire_init (bytes, sizeof bytes);
  CU_ASSERT_EQUAL (status_gateway_take (&w, &r), ERR_PEER);
  CU_ASSERT_STRING_EQUAL (status_worker_word (STATUS_WORKER_STATES), "?");
  CU_ASSERT_STRING_EQUAL (status_lease_word (STATUS_LEASES), "?");
}

UNIT_MAIN ("status", UNIT_TEST (a_gateway_comes_as_it_was_sent),
           UNIT_TEST (a_volume_comes_as_it_was_sent),
           UNIT_TEST (what_has_no_word_is_refused))
