<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:status`: looks at this host only; asks the key server nothing. Changes nothing unless told to. */
final class Status extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:status')
			->setDescription('show where the private keys of this server are and how they are fetched')
			->addOption(
				'dismiss-rollback',
				null,
				InputOption::VALUE_NONE,
				'why the key server showed an older audit log is known; take what it shows next as the newest',
			);
	}

	protected function work(InputInterface $input): array {
		if ($input->getOption('dismiss-rollback') === true) {
			$this->workshop->enrolledHost()->dismissRollback();
		}
		return $this->workshop->report()->gather();
	}

	protected function lines(array $result): array {
		$age = $result['cache']['age'];
		$lines = [
			'enrolled     ' . ($result['enrolled'] ? 'yes, as ' . $result['clientId'] . ' at ' . implode(', ', $result['urls']) : 'no'),
			'keys         ' . $this->where($result['keys'], $result['localKeys']),
			'hook         ' . $result['hook'] . ', version ' . $result['version'],
			'cache        ' . $result['cache']['store'] . ($age === null ? ', empty' : ', filled ' . $age . ' s ago'),
			'sessions     ' . ($result['sessionsKeyFree'] ? 'free of the key' : 'hold the key'),
			'heartbeat    ' . $this->heartbeat($result['heartbeat']),
			'breaker      ' . ($result['breaker']['open'] ? 'open (' . ($result['breaker']['code'] ?? '') . ')' : 'closed'),
		];
		foreach (array_slice($result['lastReleases'], 0, 5) as $i => $release) {
			$lines[] = ($i === 0 ? 'releases     ' : '             ')
				. gmdate('Y-m-d H:i:s', intdiv((int)$release['time'], 1000)) . 'Z ' . $release['outcome'] . ' ' . $release['reason']
				. ($release['code'] === '' ? '' : ' (' . trim($release['code'] . ' ' . ($release['detail'] ?? '')) . ')');
		}
		if ($result['problems'] !== []) {
			$lines[] = 'problems';
			array_push($lines, ...$this->problemLines($result['problems']));
		}
		return $lines;
	}

	/** @param array{time: int|null, code: string|null, answered: int|null} $last */
	private function heartbeat(array $last): string {
		$answered = $last['answered'] === null
			? 'never answered'
			: 'answered ' . gmdate('Y-m-d H:i:s', intdiv($last['answered'], 1000)) . 'Z';
		return $answered . ($last['code'] === null || $last['code'] === 'ok' ? '' : ', last ' . $last['code']);
	}

	/**
	 * @param list<string> $moved
	 * @param list<string> $local
	 */
	private function where(array $moved, array $local): string {
		if ($moved === []) {
			return $local === [] ? 'not found' : 'on this disk: ' . implode(', ', $local);
		}
		return 'on the key server: ' . implode(', ', $moved);
	}
}
