/// Why the authority refuses to start or to sign. The texts are for operators and, for refusals, for the log of the
/// proxy that asked.
package enum IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
  // The authority's own state.
  case keyReadableByOthers(path: String, mode: UInt32)
  case keyOfAnotherUser(path: String)
  case keyMissing(path: String, certificate: String)
  case unreadable(path: String, reason: String)
  case keyMismatch(key: String, certificate: String)
  case rootExpired
  case issuerExpired
  case rootKeyAbsent
  case rootWithoutIssuers
  case unusableIssuer(String)
  /// A signer's chain leads to a root that nobody has named to us.
  case foreignRoot(String, keyID: String)

  // Requests.
  case malformedRequest(String)
  case proofOfPossessionFailed
  case weakKey(String)
  case identityMismatch(requested: String, authenticated: String)
  case authorityRequested
  case denied(String)

  package var description: String {
    switch self {
    case .keyReadableByOthers(let path, let mode):
      "\(path) has mode \(String(mode, radix: 8)), others may read the key: run chmod 600 \(path), and rotate (apus identity "
        + "rotate --root) if somebody may have copied it"
    case .keyOfAnotherUser(let path):
      "\(path) belongs to another user: run the controller as that user or choose another --state-dir"
    case .keyMissing(let path, let certificate):
      "\(certificate) exists but \(path) does not: restore the key, or remove the directory's files to make a new root "
        + "(every workload must then be restarted)"
    case .unreadable(let path, let reason):
      "\(path) cannot be understood (\(reason)): restore it from a copy, or remove the files of its directory to "
        + "make a new root (every workload must then be restarted)"
    case .keyMismatch(let key, let certificate):
      "\(key) is not the key of \(certificate): restore the pair from one copy"
    case .rootExpired:
      "the root certificate has expired: remove the files of the state directory's ca directory to make a new root, then restart "
        + "every workload"
    case .issuerExpired:
      "the issuer's certificate has expired: make a new one with apus identity rotate --issuer"
    case .rootKeyAbsent:
      "the root's key is not in the state directory: have the root sign an issuer elsewhere (apus identity csr) and pass its "
        + "chain with --certificate, or rotate the root"
    case .rootWithoutIssuers:
      "this root signs workloads' certificates itself and allows no issuer below it: rotate the root (apus identity rotate --root)"
    case .unusableIssuer(let reason): "the issuer cannot be used: \(reason)"
    case .foreignRoot(let name, let keyID):
      "the issuer cannot be used: its chain leads to \(name.prefix(120)) (key \(keyID.prefix(16))), which the mesh does not trust; if it "
        + "is to be trusted, put its certificate into the file of --signer-root"
    case .malformedRequest(let reason): "certificate request refused: \(reason)"
    case .proofOfPossessionFailed: "certificate request refused: its signature is not made with the key it names"
    case .weakKey(let kind): "certificate request refused: \(kind) keys are not accepted; use ECDSA P-256"
    case .identityMismatch(let requested, let authenticated):
      "certificate request refused: it asks for \(requested) but the token is of \(authenticated)"
    case .authorityRequested: "certificate request refused: it asks to become an authority"
    case .denied(let identity):
      "certificate request refused: \(identity) is revoked; to let it in again: apus identity restore --identity"
    }
  }
}
