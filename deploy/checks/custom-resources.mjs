// node custom-resources.mjs FILE: every custom resource of a rendered file against the model of its own schema.
// Runs from a copy beside node_modules, which is where imports are looked for.
import { readFileSync } from 'node:fs';
import * as keda from '@kubernetes-models/keda/keda.sh/v1alpha1';
import * as prometheus from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { loadAll } from 'js-yaml';

const models = { 'keda.sh/v1alpha1': keda, 'monitoring.coreos.com/v1': prometheus };
let wrong = 0;
for (const object of loadAll(readFileSync(process.argv[2], 'utf8')).filter(Boolean)) {
  const known = models[object.apiVersion];
  if (!known) continue;
  try {
    new known[object.kind](object).validate();
    console.log(`${object.kind} ${object.metadata.name}: valid`);
  } catch (error) {
    wrong = 1;
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}
process.exit(wrong);
