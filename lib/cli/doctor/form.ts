/** A form of a page, as far as a login needs it. */
export interface Form {
  readonly action: URL
  readonly method: 'GET' | 'POST'
  /** Fields with a value of their own: hidden ones, a CSRF token among them. */
  readonly hidden: Readonly<Record<string, string>>
  /** The name of its first field for a password, and of the text field before that. */
  readonly password: string | undefined
  readonly user: string | undefined
}

const FORMS_MAX = 1000

/** The forms of a page. It is read as a person would who looks at the source: no scripts run. */
export function formsOf(html: string, page: URL): Form[] {
  const parts = html.split(/<form\b/i).slice(1, 1 + FORMS_MAX)
  return parts.map((part) => {
    const [inner = ''] = part.split(/<\/form\b/i, 1)
    const attributes = inner.split('>', 1)[0]!
    const { action = '', method = 'get' } = attributesIn(attributes)
    const inputs = [...inner.matchAll(/<(?:input|button)\b([^<>]*)>/gi)].map(([, text = '']) => attributesIn(text))
    const at = inputs.findIndex(({ type }) => type?.toLowerCase() === 'password')
    const texts = inputs.slice(0, Math.max(0, at)).filter(({ type = 'text' }) => /^(text|email|tel)$/i.test(type))
    const hidden = inputs.filter(({ type, name }) => type?.toLowerCase() === 'hidden' && name)
    return {
      action: URL.canParse(action, page.href) ? new URL(action, page) : page,
      method: /^post$/i.test(method) ? 'POST' : 'GET',
      hidden: Object.fromEntries(hidden.map(({ name, value = '' }) => [name!, value])),
      password: inputs[at]?.name,
      user: texts.at(-1)?.name
    }
  })
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function attributesIn(text: string): Record<string, string | undefined> {
  const found = text.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)
  const pairs = [...found].map(([, name, a, b, c]) => [name!.toLowerCase(), unescaped(a ?? b ?? c ?? '')] as const)
  return Object.fromEntries(pairs)
}

function unescaped(text: string): string {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (all, hex?: string, digits?: string, name?: string) => {
    const code = hex === undefined ? Number(digits) : parseInt(hex, 16)
    if (name !== undefined) return ENTITIES[name] ?? all
    return code <= 0x10ffff ? String.fromCodePoint(code) : all
  })
}
