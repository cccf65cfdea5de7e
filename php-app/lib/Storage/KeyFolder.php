<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OC\Encryption\Util;
use OC\Files\View;
use OCA\RemoteKeyStorage\State\StateError;

/** The folder in which Nextcloud keeps the system keys of its encryption module, wherever its key storage is. */
class KeyFolder {
	public const MODULE = 'OC_DEFAULT_MODULE';

	private View $view;
	private Util $util;

	public function __construct(View $view, Util $util) {
		$this->view = $view;
		$this->util = $util;
	}

	/** As a View without root takes it. */
	public function path(): string {
		return rtrim($this->util->getKeyStorageRoot(), '/') . '/files_encryption/' . self::MODULE;
	}

	/**
	 * @return list<string> every name in it; none when it is not there
	 * @throws StateError local_key_unreadable
	 */
	public function names(): array {
		if (!$this->view->is_dir($this->path())) {
			return [];
		}
		$handle = $this->view->opendir($this->path());
		if ($handle === false) {
			throw new StateError('local_key_unreadable', 'the key folder files_encryption cannot be listed');
		}
		$names = [];
		while (($name = readdir($handle)) !== false) {
			$names[] = (string)$name;
		}
		closedir($handle);
		return $names;
	}
}
