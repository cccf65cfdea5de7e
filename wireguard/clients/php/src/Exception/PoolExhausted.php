<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** No address is left (503). Nothing was made. */
final class PoolExhausted extends HubException {
}
