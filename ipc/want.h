/* SPDX-License-Identifier: BSD-2-Clause */
/* The bodies of CONTROL_WANT and CONTROL_GIVEN. */
#ifndef BH_IPC_WANT_H
#define BH_IPC_WANT_H

#include "common/want.h"
#include "common/wire.h"

void want_put (struct wirebuf *b, const struct proto_want *w);
/* ERR_PEER: damaged, or no such type; everything in *ret is within bounds. */
enum err want_take (struct wire *w, struct proto_want *ret);

void given_put (struct wirebuf *b, const struct proto_given *g);
enum err given_take (struct wire *w, struct proto_given *ret);

#endif
