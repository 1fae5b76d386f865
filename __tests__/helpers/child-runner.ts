/** Runs inside a child process (see child.ts): calls what the script exports, one message a call. */
const script = require(process.argv[2]!) as Record<string, (...args: unknown[]) => unknown>

process.on('message', async ({ call, name, args }: { call: number; name: string; args: unknown[] }) => {
  try {
    process.send!({ call, value: await script[name]!(...args) })
  } catch (err) {
    const { message, code, stack } = err as NodeJS.ErrnoException
    process.send!({ call, error: { message, code, stack } })
  }
})
process.on('disconnect', () => process.exit())
process.send!('ready')
