/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by shared.c (one volume) and shared_set.c (all of them). */
#ifndef BH_CACHE_SHARED_PRIVATE_H
#define BH_CACHE_SHARED_PRIVATE_H

#include "cache/shared.h"
#include "cache/stripes_file.h"
#include "ipc/runtime.h"

struct shared;

struct shared_set {
  struct daemon *d;
  char dir[RUNTIME_DIR_BYTES + 16]; /* of the stripes files */
  double retain_s;
  uint32_t budget_slots;
  uint32_t used_slots; /* sum of what the volumes have touched */
  struct shared *first;
  uint64_t last_id; /* of a volume; never given twice */
  ev_timer sweep; /* looks for what earlier daemons left */
};

void
shared_set_free_all (struct shared_set *set);
bool
shared_set_has_path (const struct shared_set *set, const char *path);

#endif
