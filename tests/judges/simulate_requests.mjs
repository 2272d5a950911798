// Reads simulations as a JSON list, writes what IAM would answer to each, in the same order, to the file that is named.
import { readFileSync, writeFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const simulations = JSON.parse(readFileSync(0, 'utf8'))
const answers = []
for (const simulation of simulations) {
  const answer = await runSimulation(simulation, {})
  answers.push({
    result: answer.overallResult ?? null,
    errors: answer.errors ?? null,
    ignoredContextKeys: answer.result?.ignoredContextKeys ?? [],
  })
}
writeFileSync(process.argv[2], JSON.stringify(answers))
