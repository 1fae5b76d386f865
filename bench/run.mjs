import { measure, PAYLOADS, SCENARIOS } from './middleware.mjs'

const quick = process.argv.includes('--quick')
const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice(7)
const options = quick ? { rounds: 15, batch: 300 } : { rounds: 41, batch: 1000 }
const reference = 'express-session, MemoryStore'

for (const [label, bytes] of Object.entries(quick ? { '300 B': 300 } : PAYLOADS)) {
  for (const scenario of Object.keys(SCENARIOS)) {
    if (only && !scenario.startsWith(only)) continue
    const { cost, noise } = await measure(scenario, bytes, options)
    console.log(`\n### ${scenario}, ${label} (error of the measurement: ${noise.toFixed(2)} us)\n`)
    console.log('| contender | cost, us | express-session / it |\n| --- | ---: | ---: |')
    for (const [name, us] of Object.entries(cost).sort((a, b) => a[1] - b[1])) {
      console.log(`| ${name} | ${us.toFixed(2)} | ${(cost[reference] / us).toFixed(1)} |`)
    }
  }
}
process.exit()
