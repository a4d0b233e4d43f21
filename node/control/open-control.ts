import type { ResolvedNodeInit } from '../node-init.ts';
import { controlAddress } from './control-address.ts';
import { ControlServer } from './control-server.ts';
import type { ControlVerbs } from './control-verb.ts';

/** Lets the owner reach the node from another terminal; `opened` takes what closes it. */
export async function openControl(
  { dataDir, logger }: ResolvedNodeInit,
  verbs: ControlVerbs,
  opened: (() => Promise<void>)[],
): Promise<ControlServer | undefined> {
  const address = controlAddress(dataDir);
  if (address === undefined) {
    logger.warn(
      { dataDir },
      'path of the data folder is too long for a control socket: `swarm store` works only while the node is stopped',
    );
    return undefined;
  }
  const control = await ControlServer.start({ address, verbs, logger });
  opened.push(() => control.stop());
  return control;
}
