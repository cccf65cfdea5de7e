<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Settings;

use OCP\IURLGenerator;
use OCP\Settings\IIconSection;

/** The entry in the administration settings' menu. */
final class Section implements IIconSection {
	private IURLGenerator $urls;

	public function __construct(IURLGenerator $urls) {
		$this->urls = $urls;
	}

	public function getID(): string {
		return 'remotekeystorage';
	}

	public function getName(): string {
		return 'Remote keys';
	}

	public function getPriority(): int {
		return 55;
	}

	public function getIcon(): string {
		return $this->urls->imagePath('remotekeystorage', 'app-dark.svg');
	}
}
