/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_PROTOCOLS_ISCSI_ISCSI_H
#define BH_PROTOCOLS_ISCSI_ISCSI_H

#include "protocols/proto.h"

extern const struct proto_ops iscsi_ops;

#endif
