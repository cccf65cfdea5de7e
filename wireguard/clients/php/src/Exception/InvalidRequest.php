<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** Something in the request is not as it must be: see the field (400 and the like). Nothing was made. */
final class InvalidRequest extends HubException {
}
