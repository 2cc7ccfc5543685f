// Reads simulations of @cloud-copilot/iam-simulate on standard input, one JSON text a line, and answers each with a line:
// {"outcome", "ignored"} or {"errors"}.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation(JSON.parse(line), {})
  const told =
    answer.resultType === 'error'
      ? { errors: answer.errors }
      : { outcome: answer.overallResult, ignored: answer.result?.ignoredContextKeys ?? [] }
  process.stdout.write(JSON.stringify(told) + '\n')
}
