import boundaries from 'eslint-plugin-boundaries'
import tseslint from 'typescript-eslint'

// The rooms of lib. A file imports from its own room and from those named here, types included; stores know nothing of
// one another.
const DATA = ['base', 'cookie', 'record', 'session', 'store']
const STORES = ['memory', 'file', 'sql', 'memcached', 'mongo', 'redis', 'cookie'].map((name) => `stores/${name}`)
const ENGINE = ['doors', 'tokens', 'options', 'engine', 'lifecycle', 'lifecycle/verbs', 'reply', 'request', 'manage']
const roomsBelow = (room) => ['response', ...DATA, 'stores', ...STORES, ...ENGINE.slice(0, ENGINE.indexOf(room))]
const ROOMS = {
  base: [],
  response: ['base'],
  cookie: ['base'],
  record: ['base'],
  session: ['base', 'cookie', 'record'],
  store: ['base', 'cookie', 'record', 'session'],
  stores: DATA,
  ...Object.fromEntries(STORES.map((store) => [store, [...DATA, 'stores']])),
  ...Object.fromEntries(ENGINE.map((room) => [room, roomsBelow(room)])),
  testing: [...roomsBelow('manage'), 'manage'],
  // Go's sessions stand beside the engine.
  'gorilla/codec': ['base'],
  'gorilla/stores': [...DATA, 'stores', ...STORES, 'gorilla/codec', 'gorilla'],
  gorilla: [...DATA, 'stores', ...STORES, 'gorilla/codec', 'gorilla/stores']
}
// The command line uses what there is, and nobody uses it but its own entry.
const LIBRARY = Object.keys(ROOMS)
const TOOLS = { cli: LIBRARY, 'cli/doctor': ['base', 'cli'] }
const importsOf = (type, below) => ({
  from: { element: { type } },
  allow: { to: { element: { types: { anyOf: [type, ...below] } } } }
})

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'node_modules/', '**/node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An interface can be augmented by applications, an alias of the same type cannot.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/no-require-imports': 'off',
      '@typescript-eslint/no-unsafe-declaration-merging': 'off',
      'max-depth': ['error', 4],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error'
    }
  },
  {
    files: ['lib/**/*.ts'],
    extends: [tseslint.configs.recommendedTypeCheckedOnly],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { boundaries },
    settings: {
      'import/resolver': { node: { extensions: ['.ts'] } },
      'boundaries/elements': [
        // The first that fits counts: a room within another one before that.
        ...[...LIBRARY, ...Object.keys(TOOLS)]
          .sort()
          .reverse()
          .map((room) => ({ type: room, pattern: `lib/${room}` })),
        { type: 'entry', pattern: 'lib' }
      ]
    },
    rules: {
      'max-lines': ['error', { max: 260, skipBlankLines: true, skipComments: true }],
      'boundaries/dependencies': [
        'error',
        {
          default: 'disallow',
          policies: [
            ...Object.entries({ ...ROOMS, ...TOOLS }).map(([room, below]) => importsOf(room, below)),
            importsOf('entry', LIBRARY),
            { allow: { to: { module: { origin: ['core', 'external'] } } } }
          ]
        }
      ],
      // What a package at run time may be: the dependencies. Peers are loaded when a store needs them.
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(?!\\.|node:|cookie(?:-signature)?$)' }] }
      ],
      'no-restricted-syntax': [
        'error',
        // The rule on rooms reads `import` and `export` alone.
        { selector: 'TSImportType, TSExternalModuleReference', message: 'Import it by name.' },
        { selector: 'CallExpression[callee.name="require"] > Literal[value=/^\\./]', message: 'Import it.' }
      ],
      // For session data, which is the application's, and where callers give a type of their own: `npm run lint` counts.
      '@typescript-eslint/no-explicit-any': 'warn',
      // Verbs of stores and responses are compared, kept, replaced and put back; they are called with their object.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { returns: false } }],
      // `async` also makes a rejection of what is thrown.
      '@typescript-eslint/require-await': 'off',
      // What stores and applications throw is passed on as it is.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'], location: 'anywhere' }]
    }
  },
  // The entry of the command line is nobody's import.
  { files: ['lib/bin.ts'], rules: { 'boundaries/dependencies': 'off' } }
)
