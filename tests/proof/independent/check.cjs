// Answers cases on standard input with what @transmute/rfc9162 makes of them; hashes in base64.
'use strict'

const { RFC9162 } = require('@transmute/rfc9162')

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'))
const text = (found) => Buffer.from(found).toString('base64')

const answers = {
  root: async ({ entries }) => text(await RFC9162.treeHead(entries.map(bytes))),
  leaf: async ({ entry }) => text(await RFC9162.leaf(bytes(entry))),
  inclusion: ({ root, leaf, index, size, hashes }) =>
    RFC9162.verifyInclusionProof(bytes(root), bytes(leaf), {
      log_id: '',
      tree_size: size,
      leaf_index: index,
      inclusion_path: hashes.map(bytes),
    }),
  consistency: ({ older, newer, from, to, hashes }) =>
    RFC9162.verifyConsistencyProof(bytes(older), bytes(newer), {
      log_id: '',
      tree_size_1: from,
      tree_size_2: to,
      consistency_path: hashes.map(bytes),
    }),
}

const main = async () => {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const verdicts = []
  for (const asked of JSON.parse(Buffer.concat(chunks))) {
    verdicts.push(await answers[asked.ask](asked))
  }
  process.stdout.write(JSON.stringify(verdicts))
}

main()
