<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Host;
use OCP\IConfig;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:forget`: drops the caches and the credentials of this host. */
final class Forget extends RemoteKeyCommand {
	/** client.json first: without it the others mean nothing */
	private const FILES = [
		'client.json', 'link.json', 'client.key', 'client.crt', 'ca.pem', 'releases.json', 'breaker.json', 'heartbeat.json',
		'rollback.json', 'client.new', 'renewal.json', 'notice.json', 'notice.sending',
	];
	/** Only where no key has moved: else caches of other processes must still find that they are out of date. */
	private const SHARED = ['purge', 'lock'];

	protected function configure(): void {
		$this->setName('remotekey:forget')
			->setDescription('drop cached keys and the credentials for the key server')
			->addOption('force', null, InputOption::VALUE_NONE, 'even though the private keys are on the key server only')
			->addOption('keep-config', null, InputOption::VALUE_NONE, 'leave "' . Host::CONFIG_DIR . '" in config.php');
	}

	protected function work(InputInterface $input): array {
		$host = $this->workshop->host();
		if ($host === null) {
			return ['forgotten' => false];
		}
		$keys = $this->workshop->moved()->ids();
		if ($keys !== [] && $input->getOption('force') !== true) {
			throw new Failure(
				'keys_moved',
				'the private keys of this server are on the key server only; without its credentials no file opens',
				'run `occ remotekey:restore` first, or add --force when this host is being given up',
			);
		}
		$this->workshop->moved()->dropCaches();
		foreach (array_merge(self::FILES, $host->folder()->leftovers()) as $file) {
			$host->folder()->remove($file);
		}
		$host->reload();
		if ($keys === []) {
			foreach (self::SHARED as $file) {
				$host->folder()->remove($file);
			}
		}
		if ($keys === [] && $input->getOption('keep-config') !== true) {
			\OCP\Server::get(IConfig::class)->deleteSystemValue(Host::CONFIG_DIR);
		}
		return ['forgotten' => true];
	}

	protected function lines(array $result): array {
		return [$result['forgotten'] ? 'caches and credentials are gone' : 'there was nothing to forget'];
	}
}
