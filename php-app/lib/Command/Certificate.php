<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:certificate`: what this host shows the key server. Heartbeats renew it; --renew does so now. */
final class Certificate extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:certificate')
			->setDescription('show the certificate this server has for the key server, or renew it')
			->addOption('renew', null, InputOption::VALUE_NONE, 'ask the key server for a new one now');
	}

	protected function work(InputInterface $input): array {
		$host = $this->workshop->enrolledHost();
		$renew = $input->getOption('renew') === true;
		if ($renew) {
			$host->renewCertificate();
		}
		$facts = $host->certificate()->describe();
		return [
			'present' => $facts !== null,
			'serial' => $facts === null ? null : $facts['serial'],
			'from' => $facts === null ? null : $facts['from'],
			'until' => $facts === null ? null : $facts['until'],
			'renewed' => $renew,
			'failing' => $host->renewals()->last(),
		];
	}

	protected function lines(array $result): array {
		if (!$result['present']) {
			return ['this server was enrolled without a certificate; enrolling it again gives it one'];
		}
		$lines = [
			($result['renewed'] ? 'renewed: ' : '') . 'certificate ' . $result['serial'] . ', until '
				. gmdate('Y-m-d H:i', intdiv($result['until'], 1000)) . ' UTC',
		];
		if ($result['failing'] !== null) {
			$lines[] = 'renewing it has failed since ' . gmdate('Y-m-d H:i', intdiv($result['failing']['since'], 1000)) . ' UTC ('
				. $result['failing']['code'] . ')';
		}
		return $lines;
	}
}
