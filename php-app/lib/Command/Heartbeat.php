<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use Symfony\Component\Console\Input\InputInterface;

/** `occ remotekey:heartbeat`, by hand; bin/heartbeat.sh does the same each minute, without PHP. */
final class Heartbeat extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:heartbeat')
			->setDescription('tell the key server that this host is alive and still holds its link');
	}

	protected function work(InputInterface $input): array {
		return ['state' => $this->workshop->enrolledHost()->heartbeat()['state']];
	}

	protected function lines(array $result): array {
		return [$result['state'] === 'ok' ? 'the key server knows this host' : 'the key server told this host to drop its keys'];
	}
}
