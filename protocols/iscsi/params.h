/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_PROTOCOLS_ISCSI_PARAMS_H
#define BH_PROTOCOLS_ISCSI_PARAMS_H

#include "common/param.h"

extern const struct param iscsi_params[];

#endif
