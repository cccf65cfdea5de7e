<?php

declare(strict_types=1);

namespace OCA\LatchkeyProbe;

use OCP\AppFramework\Utility\ITimeFactory;
use OCP\BackgroundJob\TimedJob;
use OCP\Files\File;
use OCP\Files\IRootFolder;
use OCP\IConfig;

/** Reads the file that the test names and notes the hash of what it held: cron has no session and no user. */
class ReadFile extends TimedJob {
	public function __construct(ITimeFactory $time, private IRootFolder $root, private IConfig $config) {
		parent::__construct($time);
		$this->setInterval(0);
	}

	protected function run($argument): void {
		$user = $this->config->getAppValue('latchkeyprobe', 'user');
		$path = $this->config->getAppValue('latchkeyprobe', 'path');
		if ($user === '' || $path === '') {
			return;
		}
		try {
			$file = $this->root->getUserFolder($user)->get($path);
			$found = $file instanceof File ? hash('sha256', $file->getContent()) : 'no file';
		} catch (\Throwable $error) {
			$found = 'failed: ' . $error::class;
		}
		$this->config->setAppValue('latchkeyprobe', 'found', $found);
	}
}
