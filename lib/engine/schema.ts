import type { Settings } from '../options/settings'
import { chain, type MaybePromise } from '../base/time'

type Data = Record<string, unknown>

/** What the option `schema` makes of stored data, or what it has against it. */
export function shaped(
  { schema }: Settings,
  data: Data
): MaybePromise<{ data: Data } | { issues: readonly unknown[] }> {
  if (schema === undefined) return { data }
  return chain(schema['~standard'].validate(data), (result) =>
    result.issues ? { issues: result.issues } : { data: result.value as Data }
  )
}
