<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

/** The process is gone. */
final class PowerCut extends \Error {
}
