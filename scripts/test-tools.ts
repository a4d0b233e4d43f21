/** `npm run test:tools`: fetches what the suites `conformance` and `interop` need and no npm package has. */
import { fetchOnnxData } from '../test/conformance/onnx-data.ts';
import { installPythonPackages } from '../test/support/python-tools.ts';

const signal = AbortSignal.timeout(900_000);
try {
  await fetchOnnxData(signal);
  await installPythonPackages(signal);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
