import { RecentValues } from '../../../lib/base/recent-values'

afterEach(() => jest.restoreAllMocks())

describe('values found authentic lately', () => {
  it('are kept by name, and of boundedly many names', () => {
    const recent = new RecentValues<number>(10)
    const all = Array.from({ length: 1000 }, (_, i) => `tenant-${i}`)
    for (const [i, name] of all.entries()) recent.set(name, 'value', i)
    expect(recent.get('tenant-999', 'value')).toBe(999)
    expect(all.filter((name) => recent.get(name, 'value') !== undefined).length).toBeLessThanOrEqual(32)
  })
})
