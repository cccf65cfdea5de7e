<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\ClientUnfit;
use LatchkeyHub\Exception\HubException;
use LatchkeyHub\Exception\NoHub;
use LatchkeyHub\Exception\PoolExhausted;
use LatchkeyHub\Exception\TooManyRequests;
use LatchkeyHub\Exception\Unreachable;

/** Several hubs. A new device goes to the one with most free addresses; those that do not answer are passed over. */
final class HubPool {
	/** @param array<string, Client> $hubs each by a name that the backend keeps beside its devices */
	public function __construct(private readonly array $hubs) {
		if ($hubs === []) {
			throw new \InvalidArgumentException('a pool must have a hub');
		}
	}

	/** The hub that a device was placed on. */
	public function hub(string $name): Client {
		return $this->hubs[$name] ?? throw new \OutOfBoundsException('the pool has no hub of this name');
	}

	/**
	 * Asks all hubs at once.
	 *
	 * @return array<string, ServerInfo|HubException> what each answered, or why it did not
	 */
	public function servers(): array {
		$requests = array_map(static fn (Client $hub): Request => $hub->infoRequest(), $this->hubs);
		return array_map(self::read(...), Transport::send($requests));
	}

	/**
	 * Makes a device on the hub with most free addresses; one whose interface is down comes last. A hub that turns out to be full, unfit
	 * or gone is passed over for the next, as long as it is certain that nothing was made there.
	 *
	 * @throws NoHub when none could take it
	 * @throws PoolExhausted when every hub that answered is full
	 * @throws HubException whatever else a hub refused; Unreachable where a hub may have made the device without an answer
	 */
	public function create(string $userId, string $deviceName, ?string $client = null): Placed {
		$passedOver = [];
		$servers = [];
		foreach ($this->servers() as $name => $server) {
			if ($server instanceof HubException) {
				$passedOver[$name] = $server;
			} else {
				$servers[$name] = $server;
			}
		}
		foreach (self::byRoom($servers) as $name) {
			try {
				return new Placed($name, $this->hubs[$name]->create($userId, $deviceName, null, $client), $passedOver);
			} catch (PoolExhausted | ClientUnfit | TooManyRequests $refusal) {
				$passedOver[$name] = $refusal;
			} catch (Unreachable $gone) {
				$passedOver[$name] = $gone->mayHaveHappened ? throw $gone : $gone;
			}
		}
		$full = array_filter($passedOver, static fn (HubException $reason): bool => $reason instanceof PoolExhausted);
		throw $servers !== [] && count($full) === count($servers) ? reset($full) : new NoHub($passedOver);
	}

	/**
	 * @param array<string, ServerInfo> $servers
	 * @return list<string> names
	 */
	private static function byRoom(array $servers): array {
		uasort($servers, static fn (ServerInfo $a, ServerInfo $b): int => [$b->isOnline(), $b->freeAddresses]
			<=> [$a->isOnline(), $a->freeAddresses]);
		return array_map('strval', array_keys($servers));
	}

	private static function read(Answer|HubException $answer): ServerInfo|HubException {
		if ($answer instanceof HubException) {
			return $answer;
		}
		try {
			return ServerInfo::from($answer);
		} catch (HubException $bad) {
			return $bad;
		}
	}
}
