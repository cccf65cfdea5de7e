import { openLocalTransport } from '../../patcher/transports/local-transport.ts';
import { transportContract } from './transport-contract.ts';

transportContract(() => openLocalTransport({ prompter: null }));
