/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "worker/transport.h"

const struct transport_ops *
transport_find (enum proto_transport kind)
{
  switch (kind) {
  case PROTO_OVER_TCP:
    return &transport_tcp;
  case PROTO_OVER_TLS:
    return &transport_tls;
  case PROTO_OVER_SSH_SUBSYSTEM:
    return &transport_ssh;
  }
  return NULL;
}
