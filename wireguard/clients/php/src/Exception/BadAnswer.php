<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub\Exception;

/** Something answered that does not speak as a hub does: check the URL. What was asked for may have been done. */
final class BadAnswer extends HubException {
}
