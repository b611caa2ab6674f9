"""The ground floor: what is true. Facts, rules, the journal and the desk; no HTTP, no views."""
