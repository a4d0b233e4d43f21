import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A hub of one repository with one revision, on loopback: what the hub's client asks when it downloads a snapshot. */
export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
}

/** Serves files by their paths in the repository `org/name`. */
export async function startHubServer(
  repository: string,
  commit: string,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<HubServer> {
  const api = `/api/models/${repository}`;
  const answers: Readonly<Record<string, unknown>> = {
    [`${api}/revision/main`]: { id: repository, sha: commit },
    [`${api}/tree/${commit}`]: Object.entries(files).map(([file, content]) => ({
      type: 'file',
      path: file,
      size: content.byteLength,
      oid: digestOf(content),
    })),
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://hub');
    const where = decodeURIComponent(pathname);
    if (Object.hasOwn(answers, where)) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answers[where]));
      return;
    }
    const name = [commit, 'main']
      .map((revision) => `/${repository}/resolve/${revision}/`)
      .flatMap((prefix) => (where.startsWith(prefix) ? [where.slice(prefix.length)] : []))[0];
    const content = name === undefined ? undefined : files[name];
    if (content === undefined) {
      response.statusCode = 404;
      response.setHeader('x-error-code', 'EntryNotFound');
      response.end();
      return;
    }
    response.setHeader('x-repo-commit', commit);
    response.setHeader('etag', `"${digestOf(content)}"`);
    response.setHeader('content-length', content.byteLength);
    response.end(request.method === 'HEAD' ? undefined : content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function digestOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
