<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OCP\AppFramework\Utility\ITimeFactory;
use OCP\BackgroundJob\TimedJob;
use Psr\Log\LoggerInterface;

/** A heartbeat with every run of Nextcloud's cron, for servers without a timer for bin/heartbeat.sh. */
final class HeartbeatJob extends TimedJob {
	private const SECONDS = 60;

	private Workshop $workshop;

	public function __construct(ITimeFactory $time, Workshop $workshop) {
		parent::__construct($time);
		$this->workshop = $workshop;
		$this->setInterval(self::SECONDS);
	}

	/** @param mixed $argument */
	protected function run($argument): void {
		try {
			$this->workshop->enrolledHost()->heartbeat();
		} catch (\Throwable $error) {
			// told by the admin page and the setup check; a log line every few minutes would help nobody
		}
		$host = $this->workshop->host();
		if ($host !== null) {
			$host->rollback()->announce(static function (string $text): void {
				\OCP\Server::get(LoggerInterface::class)->warning($text, ['app' => 'remotekeystorage']);
			});
		}
	}
}
