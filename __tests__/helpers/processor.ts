/** Ms of the processor's time that this process has used: other processes, and a machine that stalls, take none of it. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
