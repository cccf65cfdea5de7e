import { openLocalTransport } from '../../patcher/local-transport.ts';
import { transportContract } from './transport-contract.ts';

transportContract(() => openLocalTransport({ prompter: null }));
