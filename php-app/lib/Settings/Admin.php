<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Settings;

use OCA\RemoteKeyStorage\Escrow\Workshop;
use OCP\AppFramework\Http\TemplateResponse;
use OCP\IDateTimeFormatter;
use OCP\Settings\ISettings;

/** The page that says where the keys are, what the key server answered lately and what to do. It has no buttons. */
final class Admin implements ISettings {
	private Workshop $workshop;
	private IDateTimeFormatter $dates;

	public function __construct(Workshop $workshop, IDateTimeFormatter $dates) {
		$this->workshop = $workshop;
		$this->dates = $dates;
	}

	public function getForm(): TemplateResponse {
		$report = $this->workshop->report()->gather();
		$releases = [];
		foreach ($report['lastReleases'] as $release) {
			$releases[] = $release + ['when' => $this->dates->formatDateTime(intdiv((int)$release['time'], 1000), 'medium', 'medium')];
		}
		return new TemplateResponse('remotekeystorage', 'admin', [
			'report' => $report,
			'headline' => Headline::of($report),
			'releases' => $releases,
			'heartbeat' => $report['heartbeat']['answered'] === null
				? ''
				: $this->dates->formatDateTime(intdiv($report['heartbeat']['answered'], 1000), 'medium', 'medium'),
			'until' => $report['breaker']['until'] === null
				? ''
				: $this->dates->formatDateTime(intdiv($report['breaker']['until'], 1000), 'medium', 'medium'),
		], TemplateResponse::RENDER_AS_BLANK);
	}

	public function getSection(): string {
		return 'remotekeystorage';
	}

	public function getPriority(): int {
		return 10;
	}
}
