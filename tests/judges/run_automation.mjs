// Reads an Automation document and the inputs of its executions, each with the environment of its scripts, as JSON;
// runs them in AWS's simulator and writes what became of each, in the same order, to the file that is named.
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'

const require = createRequire(import.meta.url)
const { Stack } = require('aws-cdk-lib')
const { Simulation, StringDocument, ResponseCode } = require('@cdklabs/cdk-ssm-documents')

const { document, executions } = JSON.parse(readFileSync(0, 'utf8'))
const results = executions.map(({ inputs, environment }) => {
  Object.assign(process.env, environment)
  const automation = StringDocument.fromJson(new Stack(), 'Document', document)
  try {
    const result = Simulation.ofAutomation(automation, {}).simulate(inputs)
    return { ...result, responseCode: ResponseCode[result.responseCode] ?? result.responseCode }
  } catch (error) {
    return { responseCode: 'REFUSED', stackTrace: String(error) }
  }
})
writeFileSync(process.argv[2], JSON.stringify(results))
