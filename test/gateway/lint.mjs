// Prints what a validator of OpenAPI finds wrong with the document that is
// named, a line each.
import { createConfig, lint } from '@redocly/openapi-core';

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    // by default it closes every schema for this, those of conditions as well
    'no-invalid-media-type-examples': { severity: 'error', allowAdditionalProperties: true }
  }
});
for (const problem of await lint({ ref: process.argv[2], config })) {
  console.log(problem.ruleId, problem.message, problem.location[0]?.pointer);
}
