// Findings about what MeshTLS asks of callers.
extension FindingCode {
  var ofMeshTLS: Reference {
    switch self {
    case .meshTLSWithoutWorkload:
      Reference(
        .warning, "A MeshTLS is for no workload, or for a port that none has",
        "Nothing has the labels of its selector, or serves a port that it names; what it says there changes nothing.",
        fix: "Correct selector.matchLabels or ports, or start the workload.")
    case .meshTLSConflict:
      Reference(
        .error, "Two MeshTLS of one scope say different things of a workload",
        "The older one counts, then the first by name; the other is not in force for that workload.",
        fix: "Keep the mode of a workload in one MeshTLS.")
    default:
      Reference(
        .warning, "Mutual TLS is switched off for some workloads",
        "Proxies call these programs past their proxies, in plaintext: nobody proves who calls, anyone on the way reads along, and no "
          + "policy of the server's side applies.",
        fix: "Write mode: permissive, which takes plaintext from outside and keeps mutual TLS between proxies.")
    }
  }
}
