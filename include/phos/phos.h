/*
 * phos/phos.h - everything.
 */
#ifndef PHOS_PHOS_H
#define PHOS_PHOS_H

#include "phos/base.h"
#include "phos/client.h"
#include "phos/event.h"
#include "phos/service.h"
#include "phos/transport.h"
#include "phos/worker.h"

#endif
